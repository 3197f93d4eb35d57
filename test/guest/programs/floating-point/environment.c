/*
 * Claim: rounding modes, exception flags, precision control and denormal modes act on SSE and x87 as on a real processor
 * Builds: 64 32
 * Flags: -fno-builtin -frounding-math
 *
 * What: arithmetic under each rounding mode, the flags that it raises, flush-to-zero and denormals-are-zero, x87 precision control,
 *   FXSAVE images, the environment across fork and signals.
 * Why: these modes live in MXCSR and in the x87 control word, and a kernel saves and loads them at each switch.
 * How it can tell: prints results in hexadecimal with the flags.
 */
#define _GNU_SOURCE
#include <fenv.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const double values[] = {1.0, 3.0, 1e-3, 7.25, 1e308, 2.2250738585072014e-308, 5e-324, 1e-310, 0.0, -0.0, -5.5, INFINITY, 1e16};
enum { COUNT = sizeof values / sizeof *values };

static char *flags(void) {
  static char text[8];
  int raised = fetestexcept(FE_ALL_EXCEPT);
  snprintf(text, sizeof text, "%s%s%s%s%s", raised & FE_INVALID ? "V" : "", raised & FE_DIVBYZERO ? "Z" : "", raised & FE_OVERFLOW ? "O" : "",
           raised & FE_UNDERFLOW ? "U" : "", raised & FE_INEXACT ? "P" : "");
  feclearexcept(FE_ALL_EXCEPT);
  return text;
}

static void show(const char *name, long double result) {
  if (isnan(result)) printf(" %s nan", name);
  else printf(" %s %La", name, result);
  printf(" %s", flags());
}
#define SHOW(name, type, expression) do { volatile type r; feclearexcept(FE_ALL_EXCEPT); r = expression; char f[8]; strcpy(f, flags()); long double l = r; \
  if (isnan(l)) printf(" " name " nan %s", f); else printf(" " name " %La %s", l, f); } while (0)

static void arithmetic(void) {
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++) {
      volatile double x = values[i], y = values[j];
      volatile float fx = (float)x, fy = (float)y;
      volatile long double lx = x, ly = y;
      printf("%a %a:", x, y);
      SHOW("add", double, x + y); SHOW("sub", double, x - y); SHOW("mul", double, x * y); SHOW("div", double, x / y);
      SHOW("fadd", float, fx + fy); SHOW("fmul", float, fx * fy); SHOW("fdiv", float, fx / fy);
      SHOW("ladd", long double, lx + ly); SHOW("lmul", long double, lx * ly); SHOW("ldiv", long double, lx / ly);
      SHOW("narrow", float, (float)x); SHOW("lnarrow", double, (double)(lx / ly));
      SHOW("sqrt", double, sqrt(x)); SHOW("rint", double, rint(x + 0.5)); SHOW("lrint", long double, rintl(lx / 3));
      printf("\n");
    }
}

#ifdef __SSE2__
static void denormal_modes(void) {
  for (int mode = 0; mode < 4; mode++) {
    unsigned mxcsr = 0x1f80 | (mode & 1 ? 0x8000 : 0) | (mode & 2 ? 0x40 : 0);
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    volatile double tiny = 1e-310, small = 2.3e-308, half = 0.5, zero = 0;
    volatile float ftiny = 1e-40f, fsmall = 1.2e-38f;
    double results[5]; float narrow[3];
    results[0] = small * half; results[1] = tiny + zero; results[2] = tiny * 1e10; results[3] = small - tiny; results[4] = tiny / half;
    narrow[0] = fsmall * 0.25f; narrow[1] = ftiny + 0.0f; narrow[2] = ftiny * 1e10f;
    int compared = tiny == zero;
    unsigned after, plain = 0x1f80;
    __asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(after) : "m"(plain));
    printf("mode %d:", mode);
    for (int i = 0; i < 5; i++) { uint64_t bits; memcpy(&bits, &results[i], 8); printf(" %llx", (unsigned long long)bits); }
    for (int i = 0; i < 3; i++) { uint32_t bits; memcpy(&bits, &narrow[i], 4); printf(" %x", bits); }
#ifdef __x86_64__
    printf(" equal %d mxcsr %x\n", compared, after);
#else
    (void)after;
    printf(" equal %d\n", compared);
#endif
  }
}
#endif

static void precision(void) {
  for (int control = 0; control < 4; control++) {
    if (control == 1) continue; /* reserved */
    for (int rounding = 0; rounding < 4; rounding++) {
      unsigned short word = 0x7f | control << 8 | rounding << 10, status;
      long double r[4];
      __asm__ volatile("fninit; fldcw %4; fld1; fldpi; fdivrp; fstpt %0; fldpi; fsqrt; fstpt %1; fldl2e; fldln2; fmulp; fstpt %2; fldpi; fldlg2; faddp; fstpt %3; fnstsw %5; fninit"
                       : "=m"(r[0]), "=m"(r[1]), "=m"(r[2]), "=m"(r[3]) : "m"(word), "m"(status));
      printf("precision %d rounding %d:", control, rounding);
      for (int i = 0; i < 4; i++) printf(" %La", r[i]);
      printf(" status %x\n", status & 0xff);
    }
  }
}

static void transcendental(void) {
  for (int i = 0; i < 12; i++) {
    long double x = (i - 6) / 7.0L, r;
    __asm__ volatile("f2xm1" : "=t"(r) : "0"(x)); printf("f2xm1 %.15Lg ", r);
    __asm__ volatile("fsin" : "=t"(r) : "0"(x)); printf("fsin %.15Lg ", r);
    __asm__ volatile("fcos" : "=t"(r) : "0"(x)); printf("fcos %.15Lg ", r);
    __asm__ volatile("fpatan" : "=t"(r) : "0"(x), "u"(1.25L) : "st(1)"); printf("fpatan %.15Lg ", r);
    __asm__ volatile("fyl2x" : "=t"(r) : "0"(i + 0.5L), "u"(3.0L) : "st(1)"); printf("fyl2x %.15Lg ", r);
    __asm__ volatile("fprem" : "=t"(r) : "0"(i * 10.5L), "u"(3.0L)); printf("fprem %.15Lg ", r);
    __asm__ volatile("fscale" : "=t"(r) : "0"(x), "u"((long double)i)); printf("fscale %.15Lg\n", r);
  }
}

static int handled;
static void on_signal(int number) {
  (void)number;
  handled = fegetround() == FE_TONEAREST;
  fesetround(FE_UPWARD);
}

int main(void) {
  int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  for (int i = 0; i < 4; i++) { fesetround(modes[i]); printf("rounding %d\n", i); arithmetic(); }
  fesetround(FE_TONEAREST);
#ifdef __SSE2__
  denormal_modes();
#endif
  precision();
  transcendental();
  fesetround(FE_DOWNWARD);
  signal(SIGUSR1, on_signal);
  raise(SIGUSR1);
  printf("handler began with default rounding %d, ours kept %d\n", handled, fegetround() == FE_DOWNWARD);
  fflush(stdout);
  if (fork() == 0) { printf("child rounds down %d\n", fegetround() == FE_DOWNWARD); show("third", 1.0 / (volatile double){3.0}); printf("\n"); fflush(stdout); _exit(0); }
  wait(NULL);
  return 0;
}
