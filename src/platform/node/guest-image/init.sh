#!/bin/busybox sh
# /init of the default guest, process 1: sets the guest up, serves commands of the host, gives a shell.
#
# Words of the kernel command line it knows:
#   unpinned.mode=shell|exec            exec: no shell on the console, only commands of the host
#   unpinned.rows=N unpinned.cols=N     size of the terminal behind the console
#   unpinned.echo=0                     the console's input is a pipe or file: no echo, no prompt, no line editing
#   unpinned.terminals=hvc|ttyS         what the terminals are: PV consoles (under Xen), or serial ports
#
# Terminal 0 = the user's. 1 = requests and replies, one a line. Command slot K = 0, 1, 2: its standard output goes to terminal
# 2+2K, its standard error to 3+2K. (There are eight terminals of each kind, so there are three slots.)
#
#   host -> guest                       guest -> host
#   exec SLOT COMMAND_IN_BASE64         ready
#   kill SLOT                           exit SLOT STATUS
#   resize ROWS COLS
#   poweroff
#
# Each process that is started here delays `ready`, so builtins are used where there is one. Written for the busybox
# shell, whose applets need no path.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
export PATH HOME TERM="${TERM:-linux}"
cd /
umask 022
# Words of the command line and of requests are never file patterns.
set -f

# Scratch files of the command slots: leader.K, kill.K, copies.K, status.K.
state=/unpinned

set_up_system() {
	# The shell finds its applets by /proc/self/exe, so this one comes first and by its path.
	/bin/busybox mount -t proc proc /proc
	mount -t devtmpfs devtmpfs /dev
	# /dev/pts, /dev/shm, /dev/fd, /dev/stdin and so on, which the kernel does not make.
	cp -a $state/dev/. /dev/
	# Everything of /etc/fstab: sys, devpts, tmpfs.
	mount -a
	busybox --install -s 2>/dev/null
	echo unpinned >/proc/sys/kernel/hostname
	ip link set lo up
}

read_command_line() {
	mode=shell rows= cols= echo=1 terminals=hvc
	read -r words </proc/cmdline
	for word in $words; do
		case $word in
		unpinned.mode=*) mode=${word#*=} ;;
		unpinned.rows=*) rows=${word#*=} ;;
		unpinned.cols=*) cols=${word#*=} ;;
		unpinned.echo=*) echo=${word#*=} ;;
		unpinned.terminals=*) terminals=${word#*=} ;;
		esac
	done
	tty=/dev/$terminals raw='raw -echo'
	# A serial port has to stop its sender when there is no room, and its speed decides how long the kernel waits for it.
	[ $terminals = hvc ] || raw='115200 raw -echo crtscts'
}

power_off() {
	# What a serial port has not sent by then would be lost.
	[ $terminals = hvc ] || wait_until_sent <${tty}0
	poweroff -f
	# The machine stops in there. Should that fail: process 1 must not end, or the kernel would panic.
	while :; do sleep 1000; done
}

# ---- commands of the host -------------------------------------------------------------------------------------------

serve_requests() {
	# The device nodes exist from the start, but opening one fails until its console has come up.
	tries=0
	until true <>${tty}1; do
		tries=$((tries + 1))
		if [ $tries -lt 300 ]; then sleep 0.01; else sleep 1; fi
	done 2>/dev/null
	# We lead a session, so this makes it our terminal; and with a terminal there can be job control, for the sake
	# of SIGINT and SIGQUIT of the commands, as above.
	exec 3<>${tty}1
	stty $raw <&3
	read_lines <&3 | answer_lines
}

# read_lines: hands on what comes line by line. The shell's `read` forgets the part of a line that it has when a child ends at that moment
# (it begins anew), and lines come in pieces. So this process has no children; and a line is in the pipe as a whole. In a session of its own,
# because a process that reads its terminal is stopped while that runs something else in the foreground.
read_lines() {
	exec setsid sh -c 'while IFS= read -r line; do echo "$line"; done' 3>&-
}

answer_lines() {
	set -m
	opened=
	echo ready >&3

	while read -r verb first second; do
		# Collects the exit status of commands that have ended, so that no zombies stay.
		jobs >/dev/null
		case $verb in
		exec) start_command "$first" "$second" ;;
		kill) kill_command "$first" ;;
		resize) stty rows "$first" cols "$second" <${tty}0 ;;
		poweroff) power_off ;;
		esac
	done
}

# start_command SLOT BASE64
start_command() {
	if ! open_slot "$1"; then
		echo "exit $1 126" >&3
		return
	fi
	: >$state/leader.$1
	: >$state/kill.$1
	: >$state/copies.$1
	run_command "$1" "$2" &
}

# open_slot SLOT: opens the two consoles of a slot as descriptors 4 + 2 * SLOT and 5 + 2 * SLOT, at its first use. They stay
# open, because the last close of a terminal forgets its raw mode.
open_slot() {
	case $1 in [012]) ;; *) return 1 ;; esac
	case $opened in *$1*) return 0 ;; esac
	stdout=$tty$((2 + 2 * $1)) stderr=$tty$((3 + 2 * $1))
	true >$stdout 2>/dev/null && true >$stderr 2>/dev/null || return 1
	eval "exec $((4 + 2 * $1))>$stdout $((5 + 2 * $1))>$stderr"
	stty $raw <$stdout
	stty $raw <$stderr
	opened=$opened$1
}

# run_command SLOT BASE64: runs a command and reports its end. In a process of its own, so that slots run side by side.
#
# The command writes into pipes (so it sees no terminal), and `cat` copies them to the terminals. What it wrote is on
# its way to the host before `exit` is: a write to a PV console returns when all of it is in the ring. A write to a serial port returns
# earlier, so there we wait until it has been sent.
run_command() {
	# From here on 4 and 5 are the two consoles, whichever slot this is, and 6 is a way around the first pipe.
	exec 4>&$((4 + 2 * $1)) 5>&$((5 + 2 * $1))
	exec 6>&- 7>&- 8>&- 9>&-
	{ watch_command "$1" "$2" 2>&6 6>&- | copy_output "$1" >&4 6>&-; } 6>&1 | copy_output "$1" >&5
	[ $terminals = hvc ] || { wait_until_sent <&4; wait_until_sent <&5; }
	read -r status <$state/status.$1
	echo "exit $1 $status" >&3
}

# wait_until_sent: returns when the terminal that is standard input has sent everything. (stty sets its settings when that is so.)
wait_until_sent() {
	stty $raw
}

# watch_command SLOT BASE64: runs a command and notes its status. Descriptor 7 is the command's standard error, as the shell itself would
# write "Killed" and the like there.
watch_command() {
	(lead_session "$1" "$2")
	echo $? >$state/status.$1
	if [ -s $state/kill.$1 ]; then
		# A process that left the session may hold the pipes open for ever. Not for long after a kill.
		{ sleep 0.5; kill $(cat $state/copies.$1); } >/dev/null 2>&1 &
	fi
} 7>&2 2>/dev/null

# lead_session SLOT BASE64: becomes the command, as leader of a session of its own.
lead_session() {
	note_process leader.$1
	# A request to kill may come at any moment. It first leaves word in kill.K and then reads leader.K; here it is the
	# other way round, so that one of the two always sees the other.
	[ ! -s $state/kill.$1 ] || kill -KILL $process
	cd /root
	exec setsid sh -c "$(base64 -d <<-END
		$2
	END
	)" </dev/null 2>&7 3>&- 4>&- 5>&- 7>&-
}

# copy_output SLOT: copies standard input to standard output.
copy_output() {
	note_process copies.$1
	exec cat 3>&- 4>&- 5>&-
}

# note_process FILE: appends the number of this very process, which $$ would not tell.
note_process() {
	read -r process rest </proc/self/stat
	echo $process >>$state/$1
}

# kill_command SLOT
kill_command() {
	case $1 in [012]) ;; *) return ;; esac
	echo 1 >$state/kill.$1
	leader=
	read -r leader 2>/dev/null <$state/leader.$1
	[ -z "$leader" ] || kill_session "$leader" &
}

# kill_session SESSION: kills every process of a session, whatever process group it is in. Thrice, as a process may be
# forking while we look.
kill_session() {
	set +f
	for round in 1 2 3; do
		for process in /proc/[0-9]*; do
			read -r stat 2>/dev/null <$process/stat || continue
			# pid (name) state parent group session ...; the name may hold anything, so cut at its last parenthesis.
			set -- $1 ${stat##*) }
			[ "$5" != "$1" ] || kill -KILL ${process#/proc/} 2>/dev/null
		done
	done
	set -f
}

# ---- the user's shell -----------------------------------------------------------------------------------------------

# set_up_console: as process 1 keeps the console open, its settings last. They are made before `ready` is said.
set_up_console() {
	exec 3<>${tty}0
	[ -z "$rows" ] || [ -z "$cols" ] || stty rows "$rows" cols "$cols" <&3
	# With echo=0: lines as they come. Only the end-of-file character (0x04) keeps its meaning.
	[ "$echo" != 0 ] || stty -echo -isig -ixon -iexten -icrnl -opost erase ^- kill ^- <&3
}

# run_shell: a shell with the console as its terminal, so that job control and Ctrl-C work. Its end is the guest's.
run_shell() {
	cd /root
	if [ "$echo" = 0 ]; then
		# Output through a pipe, so that neither this shell nor what it starts takes itself for interactive.
		sh <${tty}0 2>&1 | cat >${tty}0
	else
		PS1='\u@\h:\w\$ ' sh <>${tty}0 >&0 2>&1
	fi
}

case $1 in
requests)
	read_command_line
	serve_requests
	;;
shell)
	read_command_line
	run_shell
	power_off
	;;
*)
	# What the busybox poweroff, halt and reboot send to process 1.
	trap power_off USR1 USR2
	trap 'reboot -f' TERM
	set_up_system
	read_command_line
	[ "$mode" = exec ] || set_up_console
	# Its shell's own words ("Killed" for a job) are not for the user's terminal.
	setsid setsid sh /init requests </dev/null >/dev/null 2>&1
	[ "$mode" = exec ] || setsid setsid sh /init shell 3>&-
	# Sleeps, and collects orphans.
	while :; do
		sleep 1000000 &
		wait
	done
	;;
esac
