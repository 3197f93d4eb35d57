/*
 * Claim: hundreds of processes come, change their program, talk through pipes and end with the right status
 * Builds: 64 32
 *
 * What: fork and wait storms, vfork and exec of itself, a chain of pipes, signals that end processes, orphans, a process tree.
 * Why: every fork copies page tables, every exec builds an address space, every switch loads CR3 and the segment bases.
 * How it can tell: statuses and sums that do not depend on the order of things.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int tree(int depth) {
  if (depth == 0) return 1;
  int sum = 1;
  pid_t children[2];
  for (int i = 0; i < 2; i++) if ((children[i] = fork()) == 0) _exit(tree(depth - 1));
  for (int i = 0; i < 2; i++) { int status; waitpid(children[i], &status, 0); sum += WEXITSTATUS(status); }
  return sum;
}

static void chain(void) {
  enum { LINKS = 20, BYTES = 20000 };
  int from = -1;
  for (int link = 0; link <= LINKS; link++) {
    int ends[2];
    if (link < LINKS) pipe(ends);
    if (fork() == 0) {
      if (link < LINKS) close(ends[0]);
      uint32_t hash = 0; long length = 0;
      unsigned char buffer[3001];
      if (link == 0) {
        for (int i = 0; i < BYTES; i += 1000) { for (int j = 0; j < 1000; j++) buffer[j] = (unsigned char)(i / 1000 + j); write(ends[1], buffer, 1000); }
      } else {
        for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;) {
          for (ssize_t i = 0; i < n; i++) { buffer[i] = (unsigned char)(buffer[i] * 3 + link); hash = hash * 31 + buffer[i]; }
          length += n;
          if (link < LINKS) for (ssize_t at = 0; at < n;) at += write(ends[1], buffer + at, n - at);
        }
      }
      if (link == LINKS) { printf("chain %ld bytes, hash %08x\n", length, hash); fflush(stdout); }
      _exit(0);
    }
    if (from >= 0) close(from);
    if (link < LINKS) { close(ends[1]); from = ends[0]; }
  }
  while (wait(NULL) > 0) {}
}

int main(int argc, char **argv) {
  if (argc > 1) return (int)(strlen(argv[1]) + (getenv("ADDED") ? 100 : 0));
  setvbuf(stdout, NULL, _IONBF, 0);

  int sum = 0;
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < 30; i++) if (fork() == 0) _exit((i * 7 + round) % 256);
    for (int status; wait(&status) > 0;) sum += WIFEXITED(status) ? WEXITSTATUS(status) : 100000;
  }
  printf("storm %d\n", sum);

  sum = 0;
  for (int i = 1; i <= 25; i++) {
    char text[32] = {0};
    memset(text, 'a', i);
    pid_t child = vfork();
    if (child == 0) {
      if (i % 2) execl("/proc/self/exe", "programs", argv[0], text, (char *)NULL);
      else execle("/proc/self/exe", "programs", argv[0], text, (char *)NULL, (char *[]){"ADDED=1", NULL});
      _exit(255);
    }
    int status;
    waitpid(child, &status, 0);
    sum += WEXITSTATUS(status) * i;
  }
  printf("exec %d\n", sum);
  printf("tree %d\n", tree(6));
  chain();

  int signals[] = {SIGKILL, SIGTERM, SIGABRT, SIGSEGV, SIGPIPE};
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  for (int i = 0; i < 5; i++) {
    pid_t child = fork();
    if (child == 0) { if (signals[i] == SIGABRT) abort(); if (signals[i] == SIGSEGV) *(volatile int *)0 = 1; for (;;) pause(); }
    if (signals[i] != SIGABRT && signals[i] != SIGSEGV) kill(child, signals[i]);
    int status;
    waitpid(child, &status, 0);
    printf("ended by %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
  }

  pid_t stopped = fork();
  if (stopped == 0) { raise(SIGSTOP); _exit(9); }
  int status;
  waitpid(stopped, &status, WUNTRACED);
  printf("stopped %d\n", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  kill(stopped, SIGCONT);
  waitpid(stopped, &status, 0);
  printf("went on to %d\n", WEXITSTATUS(status));
  return 0;
}
