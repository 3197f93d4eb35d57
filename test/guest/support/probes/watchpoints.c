/* Whether hardware watchpoints stop a program here: some virtual machines accept debug registers and do nothing with them. */
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int watched;

int main(void) {
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    watched = 1;
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg), &watched);
  ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg) + 7 * sizeof(long), 0xd0001L); /* 4 bytes, writes, local */
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
  int stopped = WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
  if (stopped) kill(child, SIGKILL);
  return !stopped;
}
