#!/bin/sh
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Process 1 of one whole machine's own process and mount namespace, as machine.sh is for the lab's guest.
# Settings come by environment from codalab/machines.py: TREE BASE STATE NETNS NAME ADDRESS TAP MEMORY.
set -eu

mount -t proc proc "$TREE/proc"
mount --rbind /dev "$TREE/dev"
mount -t tmpfs -o "size=$((MEMORY + 256))m" tmpfs "$TREE/tmp"      # UML keeps the machine's memory in a file here
mount --bind "$BASE" "$TREE/lab/base"
mount --bind "$STATE" "$TREE/lab/state"

export HOME=/tmp TMPDIR=/tmp
nsenter --net="/run/netns/$NETNS" chroot "$TREE" /usr/bin/linux.uml "mem=${MEMORY}M" \
    "ubd0=/lab/state/$NAME,/lab/base/disk.img" root=/dev/ubda rw seccomp=on "vec0:transport=tap,ifname=$TAP,depth=128,gro=1" \
    con0=null,fd:1 con=null ssl=null panic=-1 quiet "systemd.hostname=$NAME" \
    "ip=$ADDRESS::198.18.0.2:255.255.255.0:$NAME:vec0:none" &
wait "$!"
