# The same programs on the host itself, without a machine. Usage: busybox sh native.sh BENCH SCRATCH BUSYBOX (see workloads.sh)
bench=$1 scratch=$2 busybox=$3
. $bench/workloads.sh
echo "@bench done"
