#!/bin/sh
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Process 1 of one lab's own process and mount namespace. Every process and mount of a User-Mode Linux lab is made in
# here, so that nothing can outlive it: when this shell ends, or is killed, the kernel ends and unmounts all the rest.
# Settings come by environment from codalab/uml.py: TREE BASE STATE RUN SPOOL NETNS PORT MEMORY.
set -eu

mount -t proc proc "$TREE/proc"
mount --rbind /dev "$TREE/dev"
mount -t tmpfs tmpfs "$TREE/dev/shm"      # squid's shared memory has one name in all labs
mount -t tmpfs -o "size=$((MEMORY + 512))m" tmpfs "$TREE/tmp"      # UML keeps the guest's memory in a file here
mount --bind "$RUN" "$TREE/lab/run"
mount --bind "$BASE" "$TREE/lab/base"
mount --bind "$STATE" "$TREE/lab/state"
mount --bind "$SPOOL" "$TREE/var/spool/squid"
for file in /etc/resolv.conf /etc/hosts; do
    mount --bind "$file" "$TREE$file"
done

inside() { chroot "$TREE" "$@"; }
sealed() { nsenter --net="/run/netns/$NETNS" chroot "$TREE" "$@"; }

# The package door: squid on the machine's loopback, a unix socket through the wall, a port on the sealed network.
inside chown proxy:proxy /var/spool/squid
[ -d "$SPOOL/00" ] || inside squid -N -z -f /lab/run/squid.conf
inside squid -N -f /lab/run/squid.conf &
inside socat -d0 UNIX-LISTEN:/lab/run/proxy.sock,fork "TCP:127.0.0.1:$PORT" &
sealed socat -d0 TCP-LISTEN:3142,bind=198.18.0.1,fork,reuseaddr UNIX-CONNECT:/lab/run/proxy.sock &

# The engine's door and the door of "lab exec". Without -t a stream would be cut 0.5 s after its first half closes.
sealed socat -d0 -t 86400 UNIX-LISTEN:/lab/run/docker.sock,fork,mode=600 TCP:198.18.0.2:2375 &
sealed socat -d0 -t 86400 UNIX-LISTEN:/lab/run/exec.sock,fork,mode=600 TCP:198.18.0.2:2376 &

export HOME=/tmp TMPDIR=/tmp
sealed /usr/bin/linux.uml "mem=${MEMORY}M" ubd0=/lab/state/cow,/lab/base/disk.img root=/dev/ubda rw seccomp=on \
    vec0:transport=tap,ifname=tap0,depth=128,gro=1 con0=null,fd:1 con=null ssl=null panic=-1 quiet rt_group_sched=0 &
wait "$!"
