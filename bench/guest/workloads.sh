# The programs of benchmark "cpu", for busybox's shell: sourced by /init in a guest, or run by a busybox on the host itself.
#
# Needs: $bench, a folder with `parameters`, `sample` and, where they could be compiled, `kernels` and `programs`; $scratch, a folder in
# memory for some 100 MiB. `parameters` sets workloads (names, in order), repeat (how often each command is run between its marks), and
# sizes, see workloads.mjs.
#
# Says what it is doing, one line each; the host takes the time when a line arrives:
#
#   @bench begin NAME             a workload begins
#   @bench end NAME               it is over
#   @bench hash NAME RESULT       what it worked out (taken after the end, so that hashing does not count)
#   @bench failed NAME STATUS     it ended with this status

. $bench/parameters

# measure NAME COMMAND...: the MD5 of the command's standard output is its result.
measure() {
	name=$1
	shift
	echo "@bench begin $name"
	left=$repeat status=0
	while [ $left -gt 0 ] && [ $status = 0 ]; do
		"$@" >$scratch/result
		status=$?
		left=$((left - 1))
	done
	echo "@bench end $name"
	[ $status = 0 ] || echo "@bench failed $name $status"
	result=$(md5sum <$scratch/result)
	echo "@bench hash $name ${result%% *}"
}

# A busybox binary over and over: machine code, tables and text, of which gzip's window never sees two copies.
make_data() {
	bytes=$((data_mib * 1048576))
	until [ "$(stat -c %s $scratch/data 2>/dev/null || echo 0)" -ge $bytes ]; do
		cat $bench/sample >>$scratch/data
	done
	truncate -s $bytes $scratch/data
}

hash_md5() {
	md5sum <$scratch/data
}

hash_sha256() {
	sha256sum <$scratch/data
}

pack_data() {
	gzip -c <$scratch/data
}

unpack_data() {
	gunzip -c <$scratch/data.gz
}

# Square roots by Newton's method, and the area under a curve: sums, products, quotients and comparisons of doubles. (Debian's busybox has
# no sqrt.) Ten digits are told, so that rounding of intermediate results to 53 or, on the x87, 64 bits makes no difference.
loop_awk_float() {
	awk -v rounds=$awk_float_rounds 'BEGIN {
		step = 1 / rounds
		for (i = 1; i <= rounds; i++) {
			at = (i - 0.5) * step
			area += 4 / (1 + at * at)
			root = (root + i / (root > 1 ? root : 1)) / 2
			if (root > at) sum += root / i; else sum -= at
		}
		printf "%.10g %.10g\n", area * step, sum
	}'
}

# Words are cut out of a text, counted, joined to lines, and lines are split, searched and changed.
loop_awk_strings() {
	awk -v rounds=$awk_strings_rounds 'BEGIN {
		text = "the quick brown fox jumps over the lazy dog and packs my box with five dozen liquor jugs"
		for (i = 1; i <= rounds; i++) {
			word = substr(text, i * 7 % 80 + 1, i % 5 + 2)
			count[word]++
			line = line " " toupper(word) i
			if (i % 20 == 0) {
				fields = split(line, field, " ")
				changed = gsub(/[AEIOU]+/, "-", line)
				total += fields + changed + length(line) + index(line, "-") + length(field[fields])
				line = ""
			}
		}
		for (word in count) words += count[word] * length(word)
		print total, words
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

# Each time the shell forks, and its child becomes another program, which ends at once.
fork_and_exec() {
	i=0
	while [ $i -lt $fork_count ]; do
		$busybox true || return
		i=$((i + 1))
	done
	echo $i
}

# Two system calls, read and write, for each byte.
call_system() {
	dd if=/dev/zero of=/dev/null bs=1 count=$((syscall_count / 2)) 2>$scratch/said || return
	grep records $scratch/said
}

fill_zeros() {
	dd if=/dev/zero of=/dev/null bs=1048576 count=$zero_mib 2>$scratch/said || return
	grep records $scratch/said
}

run_kernel() {
	eval "$bench/kernels \$1 \$scale_$1"
}

run_program() {
	eval "$bench/programs \$1 \$size_$1"
}

[ -z "$workloads" ] || make_data
for workload in $workloads; do
	case $workload in
	md5) measure md5 hash_md5 ;;
	sha256) measure sha256 hash_sha256 ;;
	gzip)
		measure gzip pack_data
		cp $scratch/result $scratch/data.gz
		;;
	gunzip)
		[ -f $scratch/data.gz ] || pack_data >$scratch/data.gz
		measure gunzip unpack_data
		;;
	shell) measure shell loop_shell ;;
	awk_float) measure awk_float loop_awk_float ;;
	awk_strings) measure awk_strings loop_awk_strings ;;
	fork_exec) measure fork_exec fork_and_exec ;;
	system_calls) measure system_calls call_system ;;
	zero_fill) measure zero_fill fill_zeros ;;
	kernel_*) measure $workload run_kernel ${workload#kernel_} ;;
	program_*) measure $workload run_program ${workload#program_} ;;
	esac
done
