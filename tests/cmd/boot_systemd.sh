#!/bin/bash
# Boots the systemd of this machine in namespaces of its own, on a copy of the root file system that is
# thrown away, with weftd installed as a service; runs PROBE in it as root and shuts down.
#
#   boot_systemd.sh FILES PROBE OUT
#
# FILES is a folder laid over the root. What PROBE prints goes to OUT, which begins with "booted" if systemd
# came up at all. To be run as root, as
#
#   unshare --mount --pid --fork --uts --ipc --net --cgroup --kill-child boot_systemd.sh …
set -e
files=$1 probe=$2 out=$3
base=$(mktemp -d -p "$out")
mount -t tmpfs boot "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
cd "$base/root"

mount -t proc proc proc
mount -t sysfs sysfs sys
if [ -d /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs cgroup sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd systemd sys/fs/cgroup/systemd
else
    mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
mount -t tmpfs run run
mount -t tmpfs tmp tmp
mount -t tmpfs dev dev
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
    # shellcheck disable=SC2086
    set -- $node
    mknod -m 666 "dev/$1" c "$2" "$3"
done
mkdir dev/pts dev/shm dev/mqueue dev/hugepages
mount -t devpts devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up

# Nothing of what this machine does as a rule: only what is asked for here.
rm -rf etc/systemd/system/* mnt/*
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-logind.service network-online.target \
    systemd-tmpfiles-setup-dev.service getty.target; do
    ln -s /dev/null "etc/systemd/system/$unit"
done
cp -R "$files/." .
cp "$probe" probe
mkdir -p mnt/out
mount --bind "$out" mnt/out
cat >etc/systemd/system/probe.service <<'EOF'
[Unit]
After=systemd-sysusers.service systemd-journald.service
[Service]
Type=oneshot
StandardOutput=append:/mnt/out/probe
StandardError=inherit
ExecStartPre=echo booted
ExecStart=bash /probe
ExecStopPost=systemctl --force exit
TimeoutStartSec=60
EOF
cat >etc/systemd/system/default.target <<'EOF'
[Unit]
Wants=probe.service systemd-sysusers.service systemd-journald.service
EOF

mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=other PATH=/usr/bin:/usr/sbin:/bin:/sbin \
    /bin/sh -c 'exec /lib/systemd/systemd --system --show-status=no' </dev/null >/dev/null 2>&1
