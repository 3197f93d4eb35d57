/*
 * Claim: a 32-bit program finds the instructions, segments and system calls that only 32-bit mode has
 * Builds: 32
 *
 * What: decimal adjustment, PUSHA, ENTER and LEAVE, BOUND, INTO, ARPL, LES, segment overrides, a local descriptor table,
 *   system calls by int 0x80 and by the vDSO, far jumps into 64-bit mode and back.
 * Why: 64-bit programs never run these paths of the decoder, of segmentation and of the kernel's compatibility entry.
 * How it can tell: prints results and flags.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static void on_fault(int number, siginfo_t *info, void *context) {
  ucontext_t *c = context;
  printf("signal %d code %d trap %d error %x\n", number, info->si_code, c->uc_mcontext.gregs[REG_TRAPNO], c->uc_mcontext.gregs[REG_ERR]);
  siglongjmp(back, 1);
}
#define TRY(name, ...) do { printf("%s: ", name); if (sigsetjmp(back, 1) == 0) { __VA_ARGS__; printf("no fault\n"); } } while (0)

static void decimal(void) {
  uint32_t hash = 1, flags_hash = 1;
#define ADJUST(instruction, mask) for (uint32_t i = 0; i < 65536; i += 7) for (uint32_t carry = 0; carry < 2; carry++) { \
    uint32_t ax = i, flags = carry | (i & 8) << 1; \
    __asm__ volatile("push %1; popf; " instruction "; pushf; pop %1" : "+a"(ax), "+r"(flags) : : "cc"); \
    hash = hash * 31 + (ax & 0xffff); flags_hash = flags_hash * 31 + (flags & mask); }
  ADJUST("daa", 0xd5) printf("daa %08x %08x\n", hash, flags_hash);
  ADJUST("das", 0xd5) printf("das %08x %08x\n", hash, flags_hash);
  ADJUST("aaa", 0x11) printf("aaa %08x %08x\n", hash, flags_hash);
  ADJUST("aas", 0x11) printf("aas %08x %08x\n", hash, flags_hash);
  ADJUST("aam", 0xc4) printf("aam %08x %08x\n", hash, flags_hash);
  ADJUST("aad", 0xc4) printf("aad %08x %08x\n", hash, flags_hash);
  ADJUST(".byte 0xd4, 7", 0xc4) printf("aam 7 %08x %08x\n", hash, flags_hash);
  ADJUST(".byte 0xd6", 0) printf("salc %08x\n", hash);
  ADJUST("sahf; lahf", 0xd5) printf("sahf %08x %08x\n", hash, flags_hash);
}

static long call_by_vdso(long number, long argument) {
  unsigned long base = getauxval(AT_SYSINFO);
  long result = number;
  __asm__ volatile("call *%1" : "+a"(result) : "S"(base), "b"(argument) : "memory", "ecx", "edx");
  return result;
}
static long call_by_interrupt(long number, long argument) { long result = number; __asm__ volatile("int $0x80" : "+a"(result) : "b"(argument) : "memory"); return result; }

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  for (int *s = (int[]){SIGSEGV, SIGILL, SIGTRAP, SIGFPE, SIGBUS, 0}; *s; s++) { struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER}; sigaction(*s, &a, NULL); }
  decimal();

  uint32_t frame[8] = {0};
  __asm__ volatile("mov %%esp, %%esi; mov $1, %%eax; mov $2, %%ecx; mov $3, %%edx; pusha; movl (%%esp), %%eax; mov %%eax, (%0); mov 24(%%esp), %%eax; mov %%eax, 4(%0); mov 28(%%esp), %%eax; mov %%eax, 8(%0); popa; mov %%edx, 12(%0)"
                   : : "D"(frame) : "eax", "ecx", "edx", "esi", "memory");
  printf("pusha %d %u %u, popa %u\n", frame[0] == (uint32_t)(uintptr_t)frame, frame[1], frame[2], frame[3]);
  uint32_t used;
  __asm__ volatile("push %%ebp; mov %%esp, %%ebp; mov %%esp, %%esi; enter $16, $3; sub %%esp, %%esi; leave; pop %%ebp" : "=&S"(used) : : "memory", "cc");
  printf("enter took %u\n", used);

  int32_t limits[2] = {-5, 5};
  TRY("bound inside", __asm__ volatile("bound %0, %1" : : "r"(4), "m"(limits)));
  TRY("bound outside", __asm__ volatile("bound %0, %1" : : "r"(6), "m"(limits)));
  TRY("into without overflow", __asm__ volatile("xor %%eax, %%eax; into" : : : "eax", "cc"));
  TRY("into", __asm__ volatile("mov $0x7fffffff, %%eax; add $1, %%eax; into" : : : "eax", "cc"));
  TRY("syscall of a bad vector", __asm__ volatile("int $0x81"));
  TRY("load ds", __asm__ volatile("push %%ds; mov $0xfff8, %%eax; mov %%eax, %%ds; pop %%ds" : : : "eax"));
  TRY("null es", __asm__ volatile("push %%es; xor %%eax, %%eax; mov %%eax, %%es; movl %%es:(%%esp), %%eax; pop %%es" : : : "eax"));
  __asm__ volatile("mov %%ds, %%eax; mov %%eax, %%es" : : : "eax");
  TRY("write to code", __asm__ volatile("movl $0, %%cs:(%%esp)" : : : "memory"));
  TRY("in", __asm__ volatile("in $0x60, %%al" : : : "eax"));
  TRY("cli", __asm__ volatile("cli"));
  uint32_t selector = 3, zero;
  __asm__ volatile("mov $0x10, %%eax; arpl %w2, %w0; sete %b1" : "=&a"(selector), "=&q"(zero) : "r"(3));
  printf("arpl %x\n", selector & 0xffff);
  uint16_t access_ok;
  uint32_t rights = 0;
  __asm__ volatile("mov %%cs, %%eax; lar %%eax, %0; setz %b1; mov %%ds, %%eax; verw %%ax" : "+r"(rights), "=q"(access_ok) : : "eax", "cc");
  printf("lar %x %d\n", rights & 0xf0ff00, access_ok & 1);

  /* A data segment of 100 bytes in the local descriptor table. */
  static char segment[200];
  for (int i = 0; i < 200; i++) segment[i] = (char)i;
  struct user_desc description = {.entry_number = 3, .base_addr = (unsigned)(uintptr_t)segment, .limit = 99, .seg_32bit = 1, .useable = 1};
  printf("modify_ldt %d\n", (int)syscall(SYS_modify_ldt, 1, &description, sizeof description));
  uint32_t read_back = 0;
  TRY("inside the segment", __asm__ volatile("push %%es; mov $0x1f, %%eax; mov %%eax, %%es; movl %%es:96, %0; pop %%es" : "=r"(read_back) : : "eax"));
  printf("read %08x\n", read_back);
  TRY("across its limit", __asm__ volatile("mov $0x1f, %%eax; mov %%eax, %%fs; movl %%fs:97, %%eax" : : : "eax"));
  TRY("string across its limit", __asm__ volatile("mov $0x1f, %%eax; mov %%eax, %%es; mov $90, %%edi; mov $20, %%ecx; rep stosb" : : : "eax", "ecx", "edi", "memory"));
  __asm__ volatile("mov %%ds, %%eax; mov %%eax, %%es" : : : "eax");
  printf("written up to the limit %d\n", segment[99] == segment[90] && segment[100] == 100);
  description = (struct user_desc){.entry_number = 4, .base_addr = (unsigned)(uintptr_t)segment, .limit = 99, .seg_32bit = 1, .contents = 1, .useable = 1};
  syscall(SYS_modify_ldt, 1, &description, sizeof description);
  TRY("below an expand-down segment", __asm__ volatile("push %%es; mov $0x27, %%eax; mov %%eax, %%es; movb %%es:99, %%al; pop %%es" : : : "eax"));
  TRY("in an expand-down segment", __asm__ volatile("push %%es; mov $0x27, %%eax; mov %%eax, %%es; movb %%es:100, %%al; pop %%es" : : : "eax"));
  __asm__ volatile("mov %%ds, %%eax; mov %%eax, %%es" : : : "eax");
  description = (struct user_desc){.entry_number = 5, .base_addr = (unsigned)(uintptr_t)segment, .limit = 99, .seg_32bit = 1, .seg_not_present = 1, .useable = 1};
  syscall(SYS_modify_ldt, 1, &description, sizeof description);
  TRY("a segment not present", __asm__ volatile("mov $0x2f, %%eax; mov %%eax, %%fs" : : : "eax"));

  /* 64-bit code by a far call: mov rax, imm64; shr rax, 16; mov r8, rax; lea eax, [r8+1]; lretl (far return of 32-bit operand size) */
  static unsigned char wide[64] __attribute__((aligned(64))) = {0x48, 0xb8, 0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 0x48, 0xc1, 0xe8, 0x10, 0x49, 0x89, 0xc0, 0x41, 0x8d, 0x40, 0x01, 0xcb};
  mprotect((void *)((uintptr_t)wide & ~4095u), 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
  struct { uint32_t offset; uint16_t selector; } far_target = {(uint32_t)(uintptr_t)wide, 0x33};
  uint32_t result = 0;
  TRY("64-bit code", __asm__ volatile("lcall *%1" : "=a"(result) : "m"(far_target) : "memory", "cc", "ecx", "edx"));
  printf("its result %x\n", result);

  printf("getppid agrees %d\n", call_by_vdso(SYS_getppid, 0) == call_by_interrupt(SYS_getppid, 0) && call_by_interrupt(SYS_getppid, 0) == getppid());
  printf("close %ld %ld\n", call_by_vdso(SYS_close, 999), call_by_interrupt(SYS_close, 999));
  printf("no such call %ld\n", call_by_interrupt(9999, 0));
  int kept = 0;
  for (int i = 0; i < 1000; i++) {
    uint32_t esi = i * 3, edi = i * 5, ecx = i * 7, edx = i * 11, eax = SYS_close;
    __asm__ volatile("int $0x80" : "+a"(eax), "+c"(ecx), "+d"(edx), "+S"(esi), "+D"(edi) : "b"(-1) : "memory");
    kept += eax == (uint32_t)-EBADF && esi == (uint32_t)i * 3 && edi == (uint32_t)i * 5 && ecx == (uint32_t)i * 7 && edx == (uint32_t)i * 11;
  }
  printf("registers kept %d\n", kept);
  return 0;
}
