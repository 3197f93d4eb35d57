/* Whether this kernel runs 32-bit code: a system call by the gate of the 32-bit interface. Without that, a signal ends the program. */
#include <unistd.h>

int main(void) {
  long result = 20; /* getpid in the 32-bit numbering */
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  return result != getpid();
}
