/**
 * Commands of busybox whose answer is fixed: name and shell script. Each runs in an empty folder of its own that first gets the
 * files of `preparation`. Long answers are cut down to a checksum, which also keeps the recorded answers small.
 *
 * Left out: what shows time, host, processes, devices or network.
 */

/** Makes `text` (words and numbers) and `bytes` (all byte values, some runs) in the present folder, the same everywhere. */
export const preparation = `
awk 'BEGIN { x = 12345; for (i = 0; i < 1500; i++) { x = (x * 16807) % 2147483647; y = x % 977; printf "%s %d %x line%s\\n", substr("alphabetagammadeltaepsilon", y % 20 + 1, y % 6 + 1), y, x, i % 10 == 0 ? " tenth" : "" } }' >text
awk 'BEGIN { x = 777; for (i = 0; i < 9000; i++) { x = (x * 16807) % 2147483647; printf "%02x", i % 100 < 30 ? 65 + i % 3 : x % 256 } }' | xxd -r -p >bytes
`;

/** @type {[name: string, script: string][]} */
export const cases = [
  // Checksums.
  ["md5sum", "md5sum text bytes"],
  ["sha1sum", "sha1sum text bytes"],
  ["sha256sum", "sha256sum text bytes"],
  ["sha512sum", "sha512sum text bytes"],
  ["sha3sum", "sha3sum text bytes; sha3sum -a 512 bytes"],
  ["crc32", "crc32 text bytes"],
  ["sum of nothing", ": | md5sum; : | sha512sum; : >e; crc32 e"],
  ["md5sum -c", "md5sum text bytes >sums; md5sum -c sums; echo x >>text; md5sum -c sums; echo $?"],
  // Packers.
  ["gzip -9 | gunzip", "gzip -9 <text | gunzip | cmp - text && gzip -9 <text | tail -c +11 | md5sum; gzip -1 <bytes | gunzip | md5sum"],
  ["bzip2 -9 | bunzip2", "bzip2 -9 <text | bunzip2 | cmp - text && bzip2 -9 <text | md5sum; bzip2 -1 <bytes | bunzip2 | md5sum"],
  ["unxz", "echo /Td6WFoAAAFpIt42AgAhARwAAAAQz1jM4BqPAFddADoaCM522XbTk846V7HRPT3jF2EQBa9pX8cLdHQ9uWqKqtiv8EnkmPHbnqqDJA0NugXgqf0yusxDCzOJkG7bUn6F5svglrB1yTnoO0Vg7ppUu8UhUK80AAAASBbINAABb5A1AAAA0UYELD4wDYsCAAAAAAFZWg== | base64 -d | unxz | md5sum; echo /Td6WFoAAAFpIt42AgAhARwAAAAQz1jM4BqPAFddADoaCM522XbTk846V7HRPT3jF2EQBa9pX8cLdHQ9uWqKqtiv8EnkmPHbnqqDJA0NugXgqf0yusxDCzOJkG7bUn6F5svglrB1yTnoO0Vg7ppUu8UhUK80AAAASBbINAABb5A1AAAA0UYELD4wDYsCAAAAAAFZWg== | base64 -d | head -c 90 | xz -d | wc -c"],
  ["unlzma", "echo XQAAgAD//////////wA6GgjOdtl205POOlex0T094xdhEAWvaV/HC3R0PblqiqrYr/BJ5Jjx256qgyQNDboF4Kn9MrrMQwsziZBu21J+hebL4Jawdck56DtFYO6aVLvFIZ/67n//5spvgA== | base64 -d | unlzma | md5sum; echo rubbish | unlzma >/dev/null 2>&1; echo $?"],
  ["tar", "mkdir a a/b; cp text a/b; cp bytes a; ln -s b/text a/l; chmod 640 a/b/text; tar cf t.tar a; tar tf t.tar | sort; mkdir x; tar xf t.tar -C x; cmp x/a/b/text text; md5sum x/a/bytes; readlink x/a/l; stat -c %a x/a/b/text"],
  ["tar czf", "mkdir d; head -700 text >d/1; tail -800 text >d/2; tar czf t.tgz d; tar tzf t.tgz | sort; mkdir x; tar xzf t.tgz -C x; cat x/d/* | md5sum"],
  ["cpio", "mkdir d; cp text bytes d; find d | sort | cpio -o -H newc 2>/dev/null >c; cpio -t <c; mkdir x; cd x; cpio -id <../c 2>/dev/null; md5sum d/text d/bytes"],
  ["unzip", "echo UEsDBBQAAAAIAAAAIQBIFsg0YgAAAJAaAAAHAAAAZC9hLnR4dO3PuwmAQBBF0dwqXgn++1lkRFF3BUewfGOjicxufpLji+lKh2lfs6lWmeX2uLzozmeatso/oglFG4ouFH0ohlCMoWDLli1btmzZsmXLli1btmzZsmXLli1btmzZsmX7//YFUEsDBBQAAAAIAAAAIQCikCiPBwAAAAUAAAABAAAAYivOyC8qAQBQSwECFAMUAAAACAAAACEASBbINGIAAACQGgAABwAAAAAAAAAAAAAAgAEAAAAAZC9hLnR4dFBLAQIUAxQAAAAIAAAAIQCikCiPBwAAAAUAAAABAAAAAAAAAAAAAACAAYcAAABiUEsFBgAAAAACAAIAZAAAAK0AAAAAAA== | base64 -d >z; unzip -o z >/dev/null; md5sum d/a.txt b; unzip text >/dev/null 2>&1; echo $?"],
  ["uncompress", "echo H52QYcrQMSNiAA== | base64 -d >x.Z; uncompress -c x.Z 2>&1 | md5sum"],
  // Encodings and dumps.
  ["base64", "base64 bytes | md5sum; base64 bytes | base64 -d | cmp - bytes; head -c 50 bytes | base64 -w 20"],
  ["uuencode", "uuencode -m bytes x | md5sum; uuencode text x | uudecode -o - | cmp - text"],
  ["od", "od -A x -t x1 bytes | md5sum; od -t d2 bytes | tail -3; od -t f8 bytes | head -20 | md5sum; od -c text | md5sum; head -c 64 bytes | od -t o4 -j 3; head -c 40 text | od -a"],
  ["hexdump", "hexdump -C bytes | md5sum; hexdump bytes | tail -2; hexdump -e '4/1 \"%02x \" \" \" 2/2 \"%d \" \"\\n\"' bytes | md5sum"],
  ["xxd", "xxd bytes | md5sum; xxd -p bytes | xxd -r -p | cmp - bytes; xxd -l 40 -g 1 bytes"],
  ["ascii", "ascii | md5sum"],
  ["strings", "strings bytes | md5sum; strings -n 3 -o bytes | head -5"],
  // Arithmetic.
  ["bc", "echo 'scale=40; 4*a(1); e(1); l(2); s(1)+c(1); sqrt(2); 2^200; 10/3; ibase=16; FF*FF' | bc -l"],
  ["bc functions", "printf 'define f(n) { if (n<2) return 1; return n*f(n-1); }\\nf(60); for (i=0;i<5;i++) { i^i; }\\nscale=20; x=1; while (x<1000) x=x*1.7; x\\n' | bc"],
  ["dc", "echo '20k 2v p 5 3^p 1 3/p 100 0 [+] sa d 7%p 12345678901234567890 98765432109876543210*p 16o 255p 2i 1011p' | dc"],
  ["expr", "expr 12345 \\* 6789; expr 17 / 5; expr 17 % 5; expr abcdef : 'abc\\(.*\\)'; expr length hello; expr substr hello 2 3; expr 5 '<' 10; expr index hello l; expr 2147483647 + 1"],
  ["factor", "factor 1 2 97 1000000007 600851475143 4294967291 4294967296"],
  ["seq", "seq 1 0.1 3; seq -w 8 11; seq 10 -3 1; seq -s , 5; seq 100000 | md5sum"],
  ["shell arithmetic", "echo $((0x7fffffff * 3)) $((-17 / 5)) $((-17 % 5)) $((1 << 40)) $((-1 >> 3)) $((~5 & 255)) $((3 > 2 ? 10 : 20)) $((0777)); i=0; s=0; while [ $i -lt 5000 ]; do s=$(((s * 31 + i) % 1000003)); i=$((i + 1)); done; echo $s"],
  // awk.
  ["awk floating point", "awk 'BEGIN { for (i = 1; i <= 20; i++) printf \"%.17g %.15e %g\\n\", i / 7 * 1.1, 1 / (i * i + 0.3), i * 1e15 / 3; print 1e300 * 1e10, -1e300 * 1e10, int(-3.7), 7 % 2.5, 1 / 3 }'"],
  ["awk loop", "awk 'BEGIN { s = 0; for (i = 0; i < 50000; i++) s = (s * 1103515245 + 12345) % 4294967296; print s; for (i = 1; i < 20000; i++) h += 1 / i; printf \"%.15f\\n\", h }'"],
  ["awk strings", "awk '{ n[$1]++; sum[$1] += $2; len += length($0); gsub(/[aeiou]/, \"<&>\"); if (match($0, /[0-9]+/)) last = substr($0, RSTART, RLENGTH) } END { for (k in n) print k, n[k], sum[k] | \"sort\"; close(\"sort\"); print len, last, toupper(\"abc\"), index(\"hello\", \"l\"), split(\"a:b:c\", parts, \":\"), parts[3] }' text"],
  ["awk printf", "awk 'BEGIN { printf \"%5d|%-8s|%08.3f|%x|%o|%c|%e|%+d|%%|%.2s|%d\\n\", 42, \"left\", 3.14159, 255, 8, 65, 12345.678, 7, \"trunc\", 6, 9; print substr(\"hello\", 2, 3), 0x10, 1e3, \"10\" + 5, -3 % 2 }'"],
  ["awk fields and pipes", "awk -F' ' -v OFS=: 'NR % 100 == 0 { $3 = NR; print; print $2 | \"sort -n | tail -2\" }' text"],
  ["awk functions", "awk 'function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } BEGIN { print f(18); srand(1); a = rand(); srand(1); print a == rand(); while ((\"seq 3\" | getline line) > 0) print \"<\" line \">\" }'"],
  // Text.
  ["sed", "sed -n '5,10p;$=' text; sed 's/line.*//;/alpha/d;y/abc/xyz/' text | md5sum; sed '$!N;s/\\n/+/;P;D' text | md5sum; sed -E 's/([a-z]+) ([0-9]+)/\\2 \\1/g' text | head -3; sed '/beta/{s//B/2;i\\\ninserted\n}' text | md5sum"],
  ["grep", "grep -c alpha text; grep -n tenth text | tail -2; grep -E '^(be|de)[a-z]* [0-9]{3} ' text | md5sum; grep -v -i LINE text | wc -l; grep -o '[0-9]*5 ' text | head -4; grep -F -x nothing text; echo $?; grep -w 'a' text | md5sum; grep -A1 -B1 -m2 alpha text"],
  ["sort", "sort text | md5sum; sort -n -k2 text | md5sum; sort -r -u -k1,1 text; sort -k2,2nr -k1,1 text | head -5; sort -t ' ' -k3 text | tail -2; sort -c text 2>/dev/null; echo $?"],
  ["uniq", "cut -d' ' -f1 text | sort | uniq -c | md5sum; cut -d' ' -f1 text | sort | uniq -d | head -3; cut -d' ' -f1 text | uniq -u | md5sum"],
  ["cut", "cut -c 3-7 text | md5sum; cut -d' ' -f 2,4- text | md5sum; cut -b 1,3 text | head -3; head -2 text | cut -d' ' -f9 -s"],
  ["tr", "tr a-z A-Z <text | md5sum; tr -d '0-9\\n' <text | md5sum; tr -s a-z <text | md5sum; tr -c '[:alnum:]' '_' <bytes | md5sum"],
  ["head and tail", "head -n 3 text; head -n -1497 text | wc -l; tail -n 2 text; tail -n +1499 text; tail -c 20 text; head -c 30 text"],
  ["wc", "wc text bytes; wc -L text; wc -c <bytes"],
  ["fold, expand, nl, rev, tac", "fold -w 17 text | md5sum; fold -s -w 20 text | md5sum; expand -t 3 text | unexpand -a | md5sum; nl text | tail -1; nl -b a -w 3 text | md5sum; rev text | md5sum; tac text | md5sum; cat -n -v -e bytes | md5sum"],
  ["diff", "sed 's/tenth/TENTH/;50d;100a added' text >other; diff text other | md5sum; diff -u text other | tail -n +3 | md5sum; diff -q text other; diff -w text text; echo $?"],
  ["patch", "sed '20d;30s/line/LINE/' text >other; diff -u text other >p; cp text target; patch target p; cmp target other; patch -R target p >/dev/null; cmp target text && echo same"],
  ["cmp", "cmp text bytes; cp text copy; printf X | dd of=copy bs=1 seek=1000 conv=notrunc 2>/dev/null; cmp -l text copy; cmp -s text copy; echo $?"],
  ["paste, shuf", "seq 5 | paste - -; seq 6 | paste -s -d, ; shuf -i 1-100 -n 100 | sort -n | md5sum"],
  ["ed", "printf '1,3p\\n/alpha/d\\n1s/line/LINE/\\n1p\\n$=\\nw out\\nq\\n' | ed -s text 2>&1 | md5sum"],
  ["dos2unix and tsort-like", "unix2dos <text | md5sum; unix2dos <text | dos2unix | cmp - text"],
  // Files.
  ["find", "mkdir -p d/e/f; touch d/one.c d/e/two.c d/e/f/three.h; ln -s x d/link; chmod 600 d/one.c; find d | sort; find d -name '*.c' -type f | sort; find d -perm 600; find d -maxdepth 1 -type l; find d -name '*.h' -exec basename {} .h \\;; find d -size -1 -type f | wc -l; find d -path '*e*' | sort | xargs -n 2 echo"],
  ["cp, mv, ln, rm", "mkdir d; cp text d; cp -a d e; mv e/text e/moved; ln e/moved e/hard; ln -s moved e/soft; stat -c '%h %s %F' e/moved e/soft; ls -1 -R; rm -r d; rm e/hard; stat -c %h e/moved; cat e/soft | md5sum; rmdir e 2>/dev/null; echo $?"],
  ["dd", "dd if=bytes bs=100 skip=3 count=7 2>/dev/null | md5sum; dd if=text of=out bs=64 seek=2 conv=sync 2>/dev/null; md5sum out; dd if=/dev/zero bs=1024 count=256 2>/dev/null | md5sum; printf '12345678' | dd conv=swab 2>/dev/null | md5sum"],
  ["touch and stat", "touch -t 202001020304.05 f; TZ=UTC stat -c '%y %Y %a %s' f; TZ=UTC ls -l --full-time f | cut -d' ' -f 5-; truncate -s 12345 f; stat -c %s f; fallocate -l 20000 f; wc -c <f"],
  ["chmod and umask", "umask 027; touch f; stat -c %a f; for m in 4755 u=rw,go= a+x g-w,o=t +s 0; do chmod $m f; stat -c '%a %A' f; done"],
  ["basename, dirname, realpath, readlink", "basename /a/b.txt .txt; dirname /a/b/c; mkdir -p d; ln -s ../text d/l; readlink d/l; realpath d/l | sed 's:.*/::'"],
  ["du", "mkdir d; cp text bytes d; du -b d/text d/bytes"],
  ["mkfifo", "mkfifo p; (cat text >p &) ; md5sum <p; stat -c %F p"],
  ["tee and xargs", "seq 10 | tee a b | xargs -n 3 echo; cmp a b; printf 'a b\\0c d\\0' | xargs -0 -n 1 echo; echo '1 2 3' | xargs -I{} echo '<{}>'"],
  ["ls", "mkdir d; cd d; touch b a .h; mkdir c; chmod 644 a b .h; chmod 755 c; TZ=UTC touch -d '2021-05-06 07:08:09' a b c .h; ls -a; ls -1 -p; ls -l -n a b | awk '{ print $1, $5, $NF }'; ls -d */; ls -S -r"],
  ["mke2fs", "truncate -s 1M image; mke2fs -F image >/dev/null 2>&1; wc -c <image; od -A d -t x2 -j 1080 -N 2 image"],
  ["cal and date", "cal 2 2024; TZ=UTC date -d @1700000000 '+%Y-%m-%d %H:%M:%S %j %a %U'; TZ=EST5EDT date -d '2024-07-04 12:00:00' +%s; TZ=UTC date -d '1999-12-31 23:59:59' +%c"],
  // Shell.
  ["shell strings", "s=hello.world.txt; echo ${s%.*} ${s##*.} ${#s} ${s/world/there} ${s:2:5} ${u:-default} ${s+set}; set -- a 'b c' d; for x in \"$@\"; do echo \"[$x]\"; done; IFS=.; for x in $s; do echo $x; done; echo *.nothing; printf '%s|%5d|%-6s|%x|%o|%e|%b\\n' a 42 left 255 8 3.14159 'tab\\there'"],
  ["shell control", "f() { local x=$1; [ $x -le 1 ] && echo 1 && return; echo $((x * $(f $((x - 1))))); }; f 8; case abc in a?c) echo match;; esac; i=0; until [ $i = 3 ]; do i=$((i + 1)); [ $i = 2 ] && continue; echo $i; done; (exit 42); echo $?; ! true; echo $?; true && false || echo or; trap 'echo bye' EXIT; { echo one; echo two >&2; } 2>&1 | sort -r"],
  ["shell pipes and jobs", "for i in 1 2 3 4 5 6 7 8; do (echo $i | md5sum | cut -c 1-8) & done | wc -l; wait; x=$(cat <<-E\n\there $((1 + 1))\n\tE\n); echo \"$x\"; seq 200 | while read n; do echo $((n * n)); done | md5sum; sleep 0.1 & wait $!; echo $?; sh -c 'kill -TERM $$'; echo $?; timeout 0.2 sleep 5; echo $?"],
  ["shell patterns", "touch a1 a2 b1 '.h'; echo a* [!a]1 ?2; set -f; echo a*; set +f; case x-y in *-*) echo dash;; esac; echo \"$(ls | tr '\\n' ' ')\""],
  ["test", "[ -f text ] && echo f; [ -d . -a ! -e none ] && echo d; [ 5 -gt 3 ] && [ abc '<' abd ] && echo less; [ -s bytes -o -z x ]; echo $?; test text -nt bytes; echo $?; [ 0x10 -eq 16 ] 2>/dev/null; echo $?"],
  ["getopt and env", "getopt -o ab:c -l long,arg: -- -a -b 1 --arg=x rest; env -i A=1 B=2 env | sort; env -u HOME sh -c 'echo ${HOME-unset}'; env -i sh -c 'echo $-' | wc -l"],
  ["mkpasswd", "mkpasswd -m sha512 -S abcdefgh secret; mkpasswd -m md5 -S abcdefgh secret; mkpasswd -m sha256 -S saltsalt x; mkpasswd -m des -S ab word"],
  ["ipcalc", "ipcalc -n -b -m -p 192.168.5.77/19; ipcalc -h 127.0.0.1 2>/dev/null | wc -l"],
  ["numbers printed", "printf '%d %i %u %x %X %o\\n' -1 0x10 7 255 255 64; printf '%.10f %.3e %g %G\\n' 3.14159265358979 12345.678 0.0001 1e20; printf '%c%c\\n' abc def; printf '%s\\n' $((1 << 62))"],
];
