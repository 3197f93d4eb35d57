/*
 * Claim: libm, conversions and printing of floating-point numbers give the bits that a real processor gives
 * Builds: 64 32
 * Flags: -fno-builtin -frounding-math
 *
 * What: the functions of libm for float, double and long double at ordinary, huge, tiny, denormal and special arguments, conversions
 *   between all number types, strtod and printf.
 * Why: long runs of SSE and x87 code, with table look-ups, rounding tricks and 80-bit intermediate results.
 * How it can tell: prints hexadecimal floating point, so that one wrong bit shows. Not where libm uses the x87's own logarithms and
 *   trigonometry: processors differ there by one unit of the 64th bit (the host of the first run is 0.58 units off at log10l(123456.789)), so
 *   fifteen digits are compared.
 */
#include <complex.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const double values[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.141592653589793, 0.1, 1e-5, 123456.789, 1e15, 4503599627370497.5, 1e22,
  1e100, 1e300, DBL_MAX, DBL_MIN, 4.9e-324, 1e-310, -1e-310, INFINITY, -INFINITY, NAN, 0.9999999999999999, 1.0000000000000002, 709.7, -745.1, 20.0};
enum { COUNT = sizeof values / sizeof *values };

/* Set where a result may come from an x87 instruction that is not exact. */
static int is_rough;

#define FUNCTIONS(X) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(asinh) X(acosh) X(atanh) X(exp) X(exp2) X(expm1) X(log) \
  X(log2) X(log10) X(log1p) X(sqrt) X(cbrt) X(floor) X(ceil) X(round) X(trunc) X(rint) X(nearbyint) X(erf) X(erfc) X(tgamma) X(lgamma) X(logb) X(j0) X(y1)

/* NaN is printed without its sign, which no standard fixes. */
static void print(const char *name, double x, long double y) {
  if (isnan(y)) printf("%s(%a)=nan\n", name, x);
  else if (is_rough) printf("%s(%a)=%.15Lg\n", name, x, y);
  else printf("%s(%a)=%La\n", name, x, y);
}

int main(void) {
  is_rough = sizeof(void *) == 4;
#define EACH(f) for (int i = 0; i < COUNT; i++) { volatile double x = values[i]; print(#f, x, f(x)); }
  FUNCTIONS(EACH)
#define EACH_FLOAT(name) for (int i = 0; i < COUNT; i++) { volatile float x = (float)values[i]; print(#name "f", x, name##f(x)); }
  FUNCTIONS(EACH_FLOAT)
  is_rough = 1;
#define EACH_LONG(name) for (int i = 0; i < COUNT; i++) { volatile long double x = values[i]; print(#name "l", values[i], name##l(x)); }
  FUNCTIONS(EACH_LONG)
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++) {
      volatile double x = values[i], y = values[j];
      volatile long double lx = x, ly = y;
      print("powl", x, powl(lx, ly));
      is_rough = sizeof(void *) == 4;
      print("pow", x, pow(x, y));
      print("atan2", x, atan2(x, y));
      is_rough = 0;
      print("hypot", x, hypot(x, y));
      print("fmod", x, fmod(x, y));
      print("remainder", x, remainder(x, y));
      print("nextafter", x, nextafter(x, y));
      print("fmal", x, fmal(lx, ly, 1.0L));
      print("fdim", x, fdim(x, y));
      print("+", x, x + y); print("-", x, x - y); print("*", x, x * y); print("/", x, x / y);
      print("l+", x, lx + ly); print("l*", x, lx * ly); print("l/", x, lx / ly);
      print("f*", x, (float)x * (float)y); print("f/", x, (float)x / (float)y);
      is_rough = 1;
      printf("%d%d%d%d%d%d ", x < y, x <= y, x > y, x == y, isunordered(x, y), lx < ly);
    }
  is_rough = 0;
  for (int i = 0; i < COUNT; i++) {
    volatile double x = values[i];
    int exponent;
    print("frexp", x, frexp(x, &exponent));
    print("scalbn", x, scalbn(x, -1030));
    print("ldexpl", x, ldexpl(x, 2000));
    if (fabs(x) < 2e9) printf("%d %u ", (int)x, (unsigned)fabs(x));
    if (fabs(x) < 9e18) printf("%lld %llu %ld %lld\n", (long long)x, (unsigned long long)fabs(x), lrint(x) & 0xffff, llrintl((long double)x));
    printf("%g %.17g %e %.3f %Lg\n", isnan(x) ? 0 : x, isnan(x) ? 0 : x, isnan(x) ? 0 : x, fabs(x) < 1e20 ? x : 0, isnan(x) ? 0 : (long double)x);
  }
  const char *texts[] = {"0.1", "1e23", "2.2250738585072011e-308", "179769313486231580793e289", "1.00000005960464477540", "0x1.8p-1074", "123456789012345678901234567890", "1e-400"};
  for (int i = 0; i < 8; i++) printf("%a %a %La\n", strtod(texts[i], NULL), (double)strtof(texts[i], NULL), strtold(texts[i], NULL));
  for (int64_t i = 1; i != 0; i *= -7) printf("%a %a %La|", (double)i, (double)(float)i, (long double)(uint64_t)i), i = llabs(i) > (1ll << 58) ? 0 : i;
  double complex z = cexp(1.0 + 2.0 * I) * csqrt(-3.0 + 4.0 * I);
  printf("\n%.14g %.14g\n", creal(z), cimag(z));
  return 0;
}
