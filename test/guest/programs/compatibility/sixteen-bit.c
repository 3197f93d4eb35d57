/*
 * Claim: 16-bit code in a segment of its own runs with 16-bit operands, addresses and stack
 * Builds: 32
 * Compare: no (a kernel may be built without 16-bit segments); the program says itself what is wrong
 *
 * What: far calls into code that computes, addresses memory by BX and SI, pushes and pops, loops and returns.
 * Why: the same bytes decode otherwise there; emulators of old programs need it, and so does the start of a processor.
 * How it can tell: known results; what lies above the low 16 bits stays.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77 };

/* mov ax,0x1234; add bx,ax; lea cx,[bx+si+5]; push ax; pop dx; mov [di],ax; mov cx,3; loop $; o32 retf */
static unsigned char code[64] __attribute__((aligned(64))) = {0xb8, 0x34, 0x12, 0x01, 0xc3, 0x8d, 0x48, 0x05, 0x50, 0x5a, 0x89, 0x4d, 0x30, 0xb9, 3, 0, 0xe2, 0xfe, 0x66, 0xcb};

int main(void) {
  mprotect((void *)((uintptr_t)code & ~4095u), 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
  struct user_desc description = {.entry_number = 6, .base_addr = (unsigned)(uintptr_t)code, .limit = 63, .seg_32bit = 0, .contents = 2, .useable = 1};
  if (syscall(SYS_modify_ldt, 1, &description, sizeof description) != 0) {
    printf("this kernel has no 16-bit segments\n");
    return EXIT_SKIPPED;
  }
  description.entry_number = 7;
  description.contents = 0;
  syscall(SYS_modify_ldt, 1, &description, sizeof description);
  struct { uint32_t offset; uint16_t selector; } target = {0, 0x37};
  uint32_t bx = 0x11110001, cx = 0x22220000, dx = 0x33330000, si = 0x44440007, di = 0x55550000;
  __asm__ volatile("lea %5, %%eax; push %%ds; push $0x3f; pop %%ds; lcall *%%ss:(%%eax); pop %%ds"
                   : "+b"(bx), "+c"(cx), "+d"(dx), "+S"(si), "+D"(di) : "m"(target) : "eax", "memory", "cc");
  uint16_t stored = (uint16_t)(code[0x30] | code[0x31] << 8);
  printf("ebx %x ecx %x edx %x stored %x\n", bx, cx, dx, stored);
  return !(bx == 0x11111235 && cx == 0x22220000 && dx == 0x33331234 && stored == 0x1241);
}
