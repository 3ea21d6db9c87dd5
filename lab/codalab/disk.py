# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks that machines start from, each built once, kept in the cache, and then only read.

A disk's folder there is named by a hash of its recipe. The text of its class is a part of that, whatever else this
package does is not: so an edit of `Base` makes every lab build its disk anew, and an edit elsewhere none.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from codalab.common import CACHE, GIB, HERE, RUN, LabError, Progress, run, tail
from codalab.host import memory_free
from codalab.record import Record, locked

BASE_IMAGE = "codalvs-lab"


class Base:
    """The disk that every User-Mode Linux lab starts from, built once and then only read.

    One Debian tree is three things: the guest's system, the place that linux.uml and squid run in (they need newer
    libraries than this machine may have), and the source of the disk. Its folder is named by a hash of the recipe,
    and gets that name when it is whole, so that neither a changed recipe nor a killed build can leave a wrong disk.
    """

    SUITE = "forky"  # the first with a User-Mode Linux that starts on processors with large vector registers
    PACKAGES = "systemd-sysv udev iproute2 kmod procps dbus docker.io docker-cli crun user-mode-linux squid socat"
    RELEASES = ("bookworm", "trixie")
    SLIM = ("doc", "info", "locale", "man")
    DISK_SIZE = "40G"  # sparse
    QUIET_UNITS = (  # these start with the package, would cost time in every container, and a role enables its own
        "dovecot heartbeat ldirectord logd nginx postfix e2scrub_reap"
        " apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer logrotate.timer"
    )

    def __init__(self, mirror: str) -> None:
        self.mirror = mirror
        files = [HERE / "packages.txt", HERE / "import.sh"]
        files += sorted(path for path in (HERE / "guest").rglob("*") if path.is_file())
        recipe = [inspect.getsource(type(self)), mirror]
        recipe += [f"{path.relative_to(HERE)}\n{path.stat().st_mode:o}\n{path.read_text()}" for path in files]
        self.folder = CACHE / f"base-{hashlib.sha256(chr(0).join(recipe).encode()).hexdigest()[:12]}"
        self.tree = self.folder / "tree"

    def ensure(self, record: Record, progress: Progress) -> None:
        """Build the disk unless it is there; of two labs that want it, one builds and the other waits."""
        record.note(base=str(self.folder))
        if self.folder.exists():
            return
        with locked(CACHE / "build.lock", wait=True, busy="waiting for another lab that builds a disk"):
            if self.folder.exists():
                return
            if shutil.disk_usage(CACHE).free < 8 * GIB:
                raise LabError(f"building the lab's disk needs 8 GiB free under {CACHE}")
            for stale in CACHE.glob("building-*"):  # the lock says that nobody builds in them any more
                shutil.rmtree(stale, ignore_errors=True)  # what can't be removed costs only space
            scratch = CACHE / f"building-{record.name}"
            record.note(scratch=str(scratch))
            for folder in ("images", "logs", "tmp"):
                (scratch / folder).mkdir(parents=True)
            self.build(record, progress, scratch)
            scratch.rename(self.folder)
            self.prune()

    def build(self, record: Record, progress: Progress, scratch: Path) -> None:
        tree, images = scratch / "tree", scratch / "images"
        packages = (HERE / "packages.txt").read_text()
        prefilled = ",".join(re.sub(r"#.*", "", packages).split())
        jobs = {"guest system": self.bootstrap(self.SUITE, tree, self.PACKAGES.replace(" ", ","))}
        for release in self.RELEASES:
            quiet = f'for unit in {self.QUIET_UNITS}; do chroot "$1" systemctl disable -q "$unit"; done'
            proxy = 'echo \'Acquire::http::Proxy "http://198.18.0.1:3142";\' >"$1/etc/apt/apt.conf.d/90lab-proxy"'
            jobs[f"{BASE_IMAGE}:{release}"] = self.bootstrap(
                release, images / f"{BASE_IMAGE}:{release}.tar", prefilled, proxy, quiet
            )
            # As the image of this name on the public registry: services don't start when they are installed.
            policy = 'printf "#!/bin/sh\\nexit 101\\n" >"$1/usr/sbin/policy-rc.d"; chmod +x "$1/usr/sbin/policy-rc.d"'
            jobs[f"debian:{release}"] = self.bootstrap(release, images / f"debian:{release}.tar", "", proxy, policy)
        with progress.phase("base disk: Debian trees for the guest and the images"):
            self.run_jobs(record, scratch, jobs)
        with progress.phase("base disk: guest configured, images imported"):
            self.configure(tree)
            argv = ["sh", str(HERE / "import.sh"), str(tree), str(images)]
            self.run_jobs(record, scratch, {"import of the images": ["unshare", "--net", *argv]})
        with progress.phase("base disk: written"):
            disk = scratch / "disk.img"
            run("truncate", "-s", self.DISK_SIZE, disk, what="making the disk's file")
            # No journal: nobody ever mounts the disk of a lab that crashed.
            mkfs = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", str(tree), str(disk)]
            self.run_jobs(record, scratch, {"writing the disk": mkfs})
            for folder in (images, scratch / "logs", scratch / "tmp", tree / "var/lib/docker"):
                shutil.rmtree(folder)

    def bootstrap(self, release: str, target: Path, packages: str, *hooks: str) -> list[str]:
        argv = ["mmdebstrap", "--variant=minbase", "--components=main"]
        argv += ['--aptopt=Acquire::Check-Valid-Until "false"']  # a mirror may be a dated snapshot
        argv += ["--dpkgopt=force-unsafe-io"]
        argv += [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in self.SLIM]
        argv += [f"--include={packages}"] if packages else []
        argv += ["--include=ca-certificates"] if self.mirror.startswith("https:") else []
        argv += [f"--customize-hook={hook}" for hook in hooks]
        return [*argv, release, str(target), self.mirror]

    def run_jobs(self, record: Record, scratch: Path, jobs: dict[str, list[str]]) -> None:
        """Run commands, one more at a time than there are processors: each also waits for disk or network.

        Where memory allows, each has its temporary files in memory, on a mount that only it sees and that ends with it.
        """
        environment = {**os.environ, "TMPDIR": str(scratch / "tmp"), "DEBIAN_FRONTEND": "noninteractive"}
        in_memory = ["sh", "-c", 'mount -t tmpfs tmpfs "$TMPDIR" && exec "$@"', "sh"] if memory_free() > 8 * GIB else []
        waiting = list(jobs.items())
        running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        while waiting or running:
            while waiting and len(running) <= (os.cpu_count() or 1):
                label, argv = waiting.pop(0)
                log = scratch / "logs" / label
                running[label] = (record.spawn(label, ["--mount-proc", *in_memory, *argv], log, env=environment), log)
            for label, (process, log) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[label]
                if process.returncode:
                    kept = shutil.copy(log, CACHE / "failed-build.log")
                    raise LabError(f"building the lab's disk failed ({label}; whole log in {kept}): {tail(log)}")
            time.sleep(0.1)

    def configure(self, tree: Path) -> None:
        (modules,) = (tree / "usr/lib/uml/modules").iterdir()
        (tree / "usr/lib/modules").mkdir(exist_ok=True)
        modules.rename(tree / "usr/lib/modules" / modules.name)
        shutil.copytree(HERE / "guest", tree, dirs_exist_ok=True)
        for folder in ("run", "base", "state"):
            (tree / "lab" / folder).mkdir(parents=True)
        (tree / "etc/hostname").write_text("lab\n")
        (tree / "etc/machine-id").write_text("")
        for file in (tree / "etc/resolv.conf", tree / "etc/hosts"):
            file.unlink(missing_ok=True)
            file.write_text("127.0.0.1 localhost lab\n" if file.name == "hosts" else "")
        systemctl = ["chroot", str(tree), "systemctl", "-q"]
        run("chroot", tree, "depmod", modules.name, what="indexing the guest's modules")
        run(*systemctl, "enable", "systemd-networkd", "docker", "lab-exec.socket", what="enabling the guest's services")
        run(
            *systemctl,
            "mask",
            "squid",
            "getty.target",
            "systemd-networkd-wait-online",
            "apt-daily.timer",
            "apt-daily-upgrade.timer",
            "e2scrub_all.timer",
            what="quieting the guest's services",
        )
        for stamp in (tree / "etc/.updated", tree / "var/.updated"):  # nothing to bring up to date at each boot
            stamp.touch()

    def prune(self) -> None:
        """Remove disks of older recipes that no lab uses."""
        used = {str(self.folder)}
        for path in RUN.glob("*/lab.json"):
            used.add(Record(path.parent.name).data.get("base", ""))
        for folder in CACHE.glob("base-*"):
            if str(folder) not in used:
                shutil.rmtree(folder, ignore_errors=True)  # what can't be removed costs only space


class Disk:
    """The disk that every whole machine of a lab starts from: a Debian with the guest's kernel modules, and ssh.

    Containers share a kernel and its namespaces; a Coda client needs its own, and only there a reboot is one.
    """

    RELEASE = "bookworm"
    PACKAGES = "systemd-sysv,udev,dbus,python3,python3-apt,openssh-server,iproute2,iputils-ping,kmod,procps,sudo,gpg"
    UNITS = "systemd-networkd systemd-network-generator ssh"
    QUIET = "getty.target systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer"
    SIZE = "8G"  # sparse

    def __init__(self, base: Path) -> None:
        recipe = [inspect.getsource(type(self)), base.name]
        self.folder = CACHE / f"machine-{hashlib.sha256(chr(0).join(recipe).encode()).hexdigest()[:12]}"

    def ensure(self, record: Record, base: Base) -> None:
        """Build it unless it is there."""
        with locked(CACHE / "build.lock", wait=True, busy="waiting for another lab that builds a disk"):
            if self.folder.exists():
                return
            scratch = CACHE / f"building-{record.name}"
            record.note(scratch=str(scratch))
            shutil.rmtree(scratch, ignore_errors=True)  # there may be none
            for folder in ("logs", "tmp"):
                (scratch / folder).mkdir(parents=True)
            self.build(record, base, scratch)
            for older in CACHE.glob("machine-*"):
                if str(older) not in {Record(path.parent.name).data.get("disk") for path in RUN.glob("*/lab.json")}:
                    shutil.rmtree(older, ignore_errors=True)  # what can't be removed costs only space
            scratch.rename(self.folder)

    def build(self, record: Record, base: Base, scratch: Path) -> None:
        tree, key = scratch / "tree", scratch / "key"
        proxy = 'echo \'Acquire::http::Proxy "http://198.18.0.1:3142";\' >"$1/etc/apt/apt.conf.d/90lab-proxy"'
        argv = base.bootstrap(self.RELEASE, tree, self.PACKAGES, proxy)
        base.run_jobs(record, scratch, {"machines' system": argv})
        (modules,) = (base.tree / "usr/lib/modules").iterdir()
        shutil.copytree(modules, tree / "usr/lib/modules" / modules.name, symlinks=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", key, what="making the machines' key")
        ssh = tree / "root/.ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(key.with_suffix(".pub"), ssh / "authorized_keys")
        (tree / "etc/machine-id").write_text("")
        (tree / "etc/hostname").unlink(missing_ok=True)  # the kernel's command line says it
        (tree / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (tree / "etc/resolv.conf").write_text("")
        systemctl = ["chroot", str(tree), "systemctl", "-q"]
        run(*systemctl, "enable", *self.UNITS.split(), what="enabling the machines' services")
        run(*systemctl, "mask", *self.QUIET.split(), what="quieting the machines' services")
        disk = scratch / "disk.img"
        run("truncate", "-s", self.SIZE, disk, what="making the disk's file")
        # With a journal: these machines lose power.
        mkfs = ["mkfs.ext4", "-q", "-F", "-d", str(tree), str(disk)]
        base.run_jobs(record, scratch, {"writing the disk": mkfs})
        for folder in ("logs", "tmp", "tree"):
            shutil.rmtree(scratch / folder)
