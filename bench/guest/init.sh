#!/bin/busybox sh
# /init of the benchmark guests, process 1. The same file in every machine that is measured.
#
# Says on its console what it is doing, one line each; the host takes the time when a line arrives:
#
#   @bench init                   user space has begun
#   @bench begin NAME             a workload begins
#   @bench end NAME               it is over
#   @bench hash NAME RESULT       what it worked out (taken after the end, so that hashing does not count)
#   @bench failed NAME STATUS     it ended with this status
#
# /bench/parameters sets: workloads (names, in order), data_mib, awk_rounds, shell_rounds, and scale_NAME of each C kernel.

echo "@bench init"
. /bench/parameters

# measure NAME COMMAND...: the command's standard output is the result, or, if it is long, a file whose hash is.
measure() {
	name=$1
	shift
	echo "@bench begin $name"
	"$@" >/tmp/result
	status=$?
	echo "@bench end $name"
	[ $status = 0 ] || echo "@bench failed $name $status"
	result=$(md5sum </tmp/result)
	echo "@bench hash $name ${result%% *}"
}

# The busybox binary over and over: machine code, tables and text, of which gzip's window never sees two copies.
make_data() {
	bytes=$((data_mib * 1048576))
	until [ "$(stat -c %s /tmp/data 2>/dev/null || echo 0)" -ge $bytes ]; do
		cat /bin/busybox >>/tmp/data
	done
	truncate -s $bytes /tmp/data
}

hash_data() {
	sha256sum </tmp/data
}

pack_data() {
	gzip -c </tmp/data
}

# A logistic map and a sum: differences, products, quotients and comparisons of doubles. (Debian's busybox has no sqrt.)
loop_awk() {
	awk -v rounds=$awk_rounds 'BEGIN {
		x = 0.3
		for (i = 1; i <= rounds; i++) {
			x = 3.7 * x * (1 - x)
			if (x > 0.5) sum += x / i; else sum -= x * x
		}
		printf "%.15g %.15g\n", x, sum
	}'
}

loop_shell() {
	i=0 sum=0
	while [ $i -lt $shell_rounds ]; do
		i=$((i + 1))
		sum=$(((sum + i * 7) & 65535))
	done
	echo $sum
}

run_kernel() {
	eval "/bench/kernels \$1 \$scale_$1"
}

if [ -n "$workloads" ]; then
	busybox mount -t proc proc /proc
	busybox mount -t tmpfs -o size=75% tmpfs /tmp
	make_data
	for workload in $workloads; do
		case $workload in
		sha256) measure sha256 hash_data ;;
		gzip) measure gzip pack_data ;;
		awk) measure awk loop_awk ;;
		shell) measure shell loop_shell ;;
		kernel_*) measure $workload run_kernel ${workload#kernel_} ;;
		esac
	done
fi
busybox poweroff -f
while :; do busybox sleep 1000; done
