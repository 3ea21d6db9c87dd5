#!/bin/sh
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Fills the engine's store of a future base disk, on the machine's own kernel: importing an image runs no container, and
# takes seconds here in place of minutes in User-Mode Linux. Runs in namespaces of its own, which end with it.
# Usage: import.sh TREE IMAGES, where IMAGES holds NAME:TAG.tar files.
set -eu
tree=$1 images=$2
# The caller may have the address of another lab's engine in its environment.
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION
export DOCKER_HOST=unix:///run/docker.sock

mount --bind "$tree" "$tree"                      # the engine asks that its root is a mount point
mount -t proc proc "$tree/proc"
mount -t sysfs sysfs "$tree/sys"
mount --rbind /sys/fs/cgroup "$tree/sys/fs/cgroup"
mount --rbind /dev "$tree/dev"
mount -t tmpfs tmpfs "$tree/run"
mount -t tmpfs tmpfs "$tree/etc/docker"          # the guest's daemon.json is not for this start
ip link set lo up

chroot "$tree" dockerd --iptables=false --ip6tables=false --bridge=none -s overlay2 -H unix:///run/docker.sock &
engine=$!
tries=300
until chroot "$tree" docker version >/dev/null; do
    kill -0 "$engine" || exit 1
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep 0.2
done
# shellcheck disable=SC2016 # the inner shell expands these
find "$images" -name '*.tar' -printf '%P\n' | sort | xargs -P 2 -I '{}' sh -c '
    chroot "$1" docker import --change "CMD [\"bash\"]" - "${3%.tar}" <"$2/$3"' sh "$tree" "$images" '{}'
kill "$engine"
wait "$engine"
