/*
 * Claim: a 64-bit program may run 32-bit code and make 32-bit system calls
 * Host: ia32
 *
 * What: int 0x80 from 64-bit code, a far call into a 32-bit code segment and back, registers that 32-bit writes extend with zeros.
 * Why: the mode of each code segment decides how the same bytes decode; traces of both modes lie on one page.
 * How it can tell: the same bytes give different results in the two modes.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void) {
  unsigned char *low = mmap((void *)0x30000000, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  long result = 20; /* getpid in the 32-bit numbering */
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  printf("int 0x80: %d\n", result == getpid());

  /* 48 is DEC EAX in 32-bit code and REX.W in 64-bit code: 48 ff c0 = inc rax, or dec eax; inc eax. Then a far return or a near one. */
  static const unsigned char both[] = {0x48, 0xff, 0xc0, 0x41, 0x89, 0xc1};
  memcpy(low, both, sizeof both); low[6] = 0xcb;
  memcpy(low + 64, both, sizeof both); low[70] = 0xc3;
  struct { uint32_t offset; uint16_t selector; } __attribute__((packed)) *target = (void *)(low + 256);
  target->offset = 0x30000000; target->selector = 0x23;
  for (int round = 0; round < 3; round++) {
    uint64_t rax = 0xfffffffffffffff0 + round, rcx = 0x1111111122222222;
    /* The stack must lie below 4 GiB for the far call. */
    __asm__ volatile("mov %%rsp, %%r12; lea 8000(%2), %%rsp; lcall *(%3); mov %%r12, %%rsp" : "+a"(rax), "+c"(rcx) : "r"(low), "r"(target) : "r12", "r8", "r9", "r10", "r11", "memory", "cc");
    printf("32-bit: rax %llx rcx %llx\n", (unsigned long long)rax & 0xffffffff, (unsigned long long)rcx & 0xffffffff);
    rax = 0xfffffffffffffff0 + round;
    __asm__ volatile("call *%1" : "+a"(rax) : "r"(low + 64) : "r9", "memory", "cc");
    printf("64-bit: rax %llx\n", (unsigned long long)rax);
  }
  uint64_t wide = ~0ull;
  __asm__("movl $5, %k0" : "+r"(wide)); printf("%llx ", (unsigned long long)wide);
  wide = ~0ull; __asm__("movw $5, %w0" : "+r"(wide)); printf("%llx ", (unsigned long long)wide);
  wide = ~0ull; __asm__("xorl %k0, %k0; cmovnel %k0, %k0" : "+r"(wide) : : "cc"); printf("%llx ", (unsigned long long)wide);
  wide = ~0ull; __asm__("test %0, %0; cmovel %k0, %k0" : "+r"(wide) : : "cc"); printf("%llx\n", (unsigned long long)wide);
  return 0;
}
