#!/bin/busybox sh
# /init of the benchmark guests, process 1. The same file in every machine that is measured.
#
# Says on its console where it is, one line each; the host takes the time when a line arrives:
#
#   @bench init                   user space has begun
#   @bench shell                  a shell is about to wait for input, if /bench/parameters asks for that with shell=1
#   @bench done                   all is done; power-off follows
#
# and what workloads.sh says.

echo "@bench init"
bench=/bench scratch=/tmp busybox=/bin/busybox
. $bench/parameters
if [ -n "$workloads$shell" ]; then
	busybox mount -t proc proc /proc
	busybox mount -t devtmpfs devtmpfs /dev
	busybox mount -t tmpfs -o size=75% tmpfs /tmp
fi
if [ -n "$shell" ]; then
	echo "@bench shell"
	exec sh -i
fi
[ -z "$workloads" ] || . $bench/workloads.sh
echo "@bench done"
busybox poweroff -f
while :; do busybox sleep 1000; done
