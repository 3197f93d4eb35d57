/*
 * Claim: compiled vector code from SSE to SSE4.2 gives the checksums of a real processor
 * Builds: 64 32
 * Flags: -msse4.2 -mpopcnt
 *
 * What: every family of intrinsics on pseudo-random and edge values; one checksum a family.
 * Why: single instructions are compared elsewhere; here a compiler chose the forms, memory operands and registers.
 * How it can tell: prints a checksum over all results, family by family.
 */
#include <nmmintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t seed = 88172645463325252ull;
static uint64_t next(void) { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return seed; }
static uint64_t hash;
static void mix(const void *data, size_t length) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 1099511628211ull;
}
static void take(__m128i v) { mix(&v, sizeof v); }
static void take_int(long long v) { mix(&v, sizeof v); }
/* Of a NaN only that it is one: which payload wins is compared per instruction elsewhere. */
static void take_ps(__m128 v) { v = _mm_or_ps(_mm_and_ps(v, _mm_cmpord_ps(v, v)), _mm_and_ps(_mm_cmpunord_ps(v, v), _mm_castsi128_ps(_mm_set1_epi32(0x7fc00000)))); mix(&v, sizeof v); }
static void take_pd(__m128d v) { v = _mm_or_pd(_mm_and_pd(v, _mm_cmpord_pd(v, v)), _mm_and_pd(_mm_cmpunord_pd(v, v), _mm_castsi128_pd(_mm_set1_epi64x(0x7ff8000000000000ll)))); mix(&v, sizeof v); }
static __m128i random_int(int i) {
  static const uint64_t edges[] = {0, ~0ull, 0x8000000080000000ull, 0x7fff7fff80008000ull, 0x0101010101010101ull, 0x8080808080808080ull, 0x7f7f7f7f7f7f7f7full, 0x00000000ffffffffull};
  if (i % 5 == 0) return _mm_set_epi64x((long long)edges[next() % 8], (long long)edges[next() % 8]);
  return _mm_set_epi64x((long long)next(), (long long)next());
}
static float number(void) {
  static const float edges[] = {0, -0.0f, 1, -1, 1e38f, 1e-40f, 3e9f, -2147483648.0f, 0.5f, 1.5f, 2.5f};
  return next() % 4 == 0 ? edges[next() % 11] : (float)((double)(int64_t)next() / 1e15);
}
static __m128 random_ps(void) { return _mm_set_ps(number(), number(), number(), number()); }
static __m128d random_pd(void) { return _mm_set_pd(number() * 1.000001, number() / 3.0); }
static void end(const char *name) { printf("%s %016llx\n", name, (unsigned long long)hash); hash = 14695981039346656037ull; }

enum { ROUNDS = 400 };
#define REPEAT for (int i = 0; i < ROUNDS; i++)
#define TWO __m128i a = random_int(i), b = random_int(i + 1)

int main(void) {
  end("start");
  REPEAT { TWO; take(_mm_add_epi8(a, b)); take(_mm_add_epi16(a, b)); take(_mm_add_epi32(a, b)); take(_mm_add_epi64(a, b)); take(_mm_sub_epi8(a, b));
    take(_mm_sub_epi16(a, b)); take(_mm_sub_epi32(a, b)); take(_mm_sub_epi64(a, b)); take(_mm_adds_epi8(a, b)); take(_mm_adds_epi16(a, b)); take(_mm_adds_epu8(a, b));
    take(_mm_adds_epu16(a, b)); take(_mm_subs_epi8(a, b)); take(_mm_subs_epi16(a, b)); take(_mm_subs_epu8(a, b)); take(_mm_subs_epu16(a, b)); take(_mm_avg_epu8(a, b)); take(_mm_avg_epu16(a, b)); }
  end("add");
  REPEAT { TWO; take(_mm_mulhi_epi16(a, b)); take(_mm_mulhi_epu16(a, b)); take(_mm_mullo_epi16(a, b)); take(_mm_mul_epu32(a, b)); take(_mm_madd_epi16(a, b)); take(_mm_sad_epu8(a, b));
    take(_mm_mul_epi32(a, b)); take(_mm_mullo_epi32(a, b)); take(_mm_maddubs_epi16(a, b)); take(_mm_mulhrs_epi16(a, b)); }
  end("multiply");
  REPEAT { TWO; take(_mm_min_epi16(a, b)); take(_mm_max_epi16(a, b)); take(_mm_min_epu8(a, b)); take(_mm_max_epu8(a, b)); take(_mm_min_epi8(a, b)); take(_mm_max_epi8(a, b));
    take(_mm_min_epu16(a, b)); take(_mm_max_epu16(a, b)); take(_mm_min_epi32(a, b)); take(_mm_max_epi32(a, b)); take(_mm_min_epu32(a, b)); take(_mm_max_epu32(a, b)); take(_mm_minpos_epu16(a)); }
  end("least and greatest");
  REPEAT { TWO; take(_mm_cmpeq_epi8(a, b)); take(_mm_cmpgt_epi8(a, b)); take(_mm_cmpeq_epi16(a, b)); take(_mm_cmpgt_epi16(a, b)); take(_mm_cmpeq_epi32(a, b)); take(_mm_cmpgt_epi32(a, b));
    take(_mm_cmpeq_epi64(a, b)); take(_mm_cmpgt_epi64(a, b)); take_int(_mm_testz_si128(a, b) + 2 * _mm_testc_si128(a, b) + 4 * _mm_testnzc_si128(a, b)); take_int(_mm_movemask_epi8(a));
    take(_mm_and_si128(a, b)); take(_mm_andnot_si128(a, b)); take(_mm_or_si128(a, b)); take(_mm_xor_si128(a, b)); }
  end("compare");
  REPEAT { TWO; __m128i n = _mm_set_epi64x(0, (long long)(next() % 70)); take(_mm_sll_epi16(a, n)); take(_mm_sll_epi32(a, n)); take(_mm_sll_epi64(a, n)); take(_mm_srl_epi16(a, n));
    take(_mm_srl_epi32(a, n)); take(_mm_srl_epi64(a, n)); take(_mm_sra_epi16(a, n)); take(_mm_sra_epi32(a, n)); take(_mm_slli_epi16(a, 5)); take(_mm_srai_epi32(b, 31)); take(_mm_srli_epi64(a, 33));
    take(_mm_slli_si128(a, 5)); take(_mm_srli_si128(b, 11)); take(_mm_alignr_epi8(a, b, 3)); take(_mm_alignr_epi8(a, b, 19)); }
  end("shift");
  REPEAT { TWO; take(_mm_packs_epi16(a, b)); take(_mm_packs_epi32(a, b)); take(_mm_packus_epi16(a, b)); take(_mm_packus_epi32(a, b)); take(_mm_unpackhi_epi8(a, b)); take(_mm_unpacklo_epi8(a, b));
    take(_mm_unpackhi_epi16(a, b)); take(_mm_unpacklo_epi32(a, b)); take(_mm_unpackhi_epi64(a, b)); take(_mm_shuffle_epi8(a, b)); take(_mm_shuffle_epi32(a, 0x1b)); take(_mm_shufflehi_epi16(a, 0x9c));
    take(_mm_shufflelo_epi16(b, 0x63)); take(_mm_blendv_epi8(a, b, random_int(3))); take(_mm_blend_epi16(a, b, 0xa5)); take_int(_mm_extract_epi8(a, 7)); take_int(_mm_extract_epi16(a, 3));
    take_int(_mm_extract_epi32(a, 2)); take(_mm_insert_epi8(a, i, 9)); take(_mm_insert_epi32(b, i, 1)); take(_mm_insert_epi16(b, i, 6)); }
  end("shuffle");
  REPEAT { TWO; (void)b; take(_mm_cvtepi8_epi16(a)); take(_mm_cvtepi8_epi32(a)); take(_mm_cvtepi8_epi64(a)); take(_mm_cvtepu8_epi16(a)); take(_mm_cvtepu8_epi32(a)); take(_mm_cvtepu8_epi64(a));
    take(_mm_cvtepi16_epi32(a)); take(_mm_cvtepi16_epi64(a)); take(_mm_cvtepu16_epi32(a)); take(_mm_cvtepu16_epi64(a)); take(_mm_cvtepi32_epi64(a)); take(_mm_cvtepu32_epi64(a)); }
  end("extend");
  REPEAT { TWO; take(_mm_abs_epi8(a)); take(_mm_abs_epi16(a)); take(_mm_abs_epi32(a)); take(_mm_sign_epi8(a, b)); take(_mm_sign_epi16(a, b)); take(_mm_sign_epi32(a, b)); take(_mm_hadd_epi16(a, b));
    take(_mm_hadd_epi32(a, b)); take(_mm_hadds_epi16(a, b)); take(_mm_hsub_epi16(a, b)); take(_mm_hsub_epi32(a, b)); take(_mm_hsubs_epi16(a, b)); take(_mm_mpsadbw_epu8(a, b, 5)); }
  end("horizontal");
  REPEAT { __m128 a = random_ps(), b = random_ps(); take_ps(_mm_add_ps(a, b)); take_ps(_mm_sub_ps(a, b)); take_ps(_mm_mul_ps(a, b)); take_ps(_mm_div_ps(a, b)); take_ps(_mm_sqrt_ps(a)); take_ps(_mm_min_ps(a, b));
    take_ps(_mm_max_ps(a, b)); take_ps(_mm_add_ss(a, b)); take_ps(_mm_div_ss(a, b)); take_ps(_mm_hadd_ps(a, b)); take_ps(_mm_hsub_ps(a, b)); take_ps(_mm_addsub_ps(a, b)); take_ps(_mm_dp_ps(a, b, 0x7b));
    take_ps(_mm_round_ps(a, _MM_FROUND_TO_NEAREST_INT)); take_ps(_mm_floor_ps(a)); take_ps(_mm_ceil_ps(a)); take_ps(_mm_round_ss(a, b, _MM_FROUND_TO_ZERO)); take_ps(_mm_shuffle_ps(a, b, 0xc6)); take_ps(_mm_unpacklo_ps(a, b));
    take_ps(_mm_movehdup_ps(a)); take_ps(_mm_moveldup_ps(b)); take_ps(_mm_insert_ps(a, b, 0x98)); take_ps(_mm_blendv_ps(a, b, random_ps())); take_int(_mm_movemask_ps(a)); take(_mm_castps_si128(_mm_cmplt_ps(a, b)));
    take(_mm_castps_si128(_mm_cmpneq_ps(a, b))); take_int(_mm_comilt_ss(a, b) + 2 * _mm_ucomieq_ss(a, b)); }
  end("float");
  REPEAT { __m128d a = random_pd(), b = random_pd(); take_pd(_mm_add_pd(a, b)); take_pd(_mm_sub_pd(a, b)); take_pd(_mm_mul_pd(a, b)); take_pd(_mm_div_pd(a, b)); take_pd(_mm_sqrt_pd(a)); take_pd(_mm_min_pd(a, b));
    take_pd(_mm_max_pd(a, b)); take_pd(_mm_mul_sd(a, b)); take_pd(_mm_hadd_pd(a, b)); take_pd(_mm_addsub_pd(a, b)); take_pd(_mm_dp_pd(a, b, 0x31)); take_pd(_mm_round_pd(a, 0)); take_pd(_mm_floor_pd(a));
    take_pd(_mm_ceil_sd(a, b)); take_pd(_mm_shuffle_pd(a, b, 1)); take_pd(_mm_movedup_pd(a)); take_int(_mm_movemask_pd(b)); take(_mm_castpd_si128(_mm_cmple_pd(a, b))); take(_mm_castpd_si128(_mm_cmpord_pd(a, b))); }
  end("double");
  REPEAT { __m128d d = random_pd(); __m128 f = random_ps(); TWO; (void)b; take(_mm_cvtps_epi32(f)); take(_mm_cvttps_epi32(f)); take_ps(_mm_cvtepi32_ps(a)); take_pd(_mm_cvtps_pd(f)); take_ps(_mm_cvtpd_ps(d));
    take(_mm_cvtpd_epi32(d)); take(_mm_cvttpd_epi32(d)); take_pd(_mm_cvtepi32_pd(a)); take_int(_mm_cvtss_si32(f)); take_int(_mm_cvttsd_si32(d)); take_ps(_mm_cvtsi32_ss(f, i)); take_pd(_mm_cvtss_sd(d, f)); take_ps(_mm_cvtsd_ss(f, d)); }
  end("convert");
  unsigned crc = ~0u;
  REPEAT { crc = _mm_crc32_u8(crc, (unsigned char)next()); crc = _mm_crc32_u16(crc, (unsigned short)next()); crc = _mm_crc32_u32(crc, (unsigned)next()); take_int(crc); take_int(_mm_popcnt_u32((unsigned)next()));
    TWO; char text[16] = "unpinned guest!", set[16] = "aeiou"; text[next() % 16] = (char)(next() % 3 ? 'u' : 0); __m128i t = _mm_loadu_si128((__m128i *)text), s = _mm_loadu_si128((__m128i *)set);
    take_int(_mm_cmpistri(s, t, 0)); take_int(_mm_cmpistri(s, t, 0x44)); take(_mm_cmpistrm(t, s, 0x48)); take(_mm_cmpistrm(a, b, 0x71)); take_int(_mm_cmpestri(a, i % 20 - 2, b, i % 18, 0x0c)); take_int(_mm_cmpestri(a, 8, b, 8, 0x3a));
    take(_mm_cmpestrm(a, 5, b, i % 17, 0x05)); take_int(_mm_cmpistrc(s, t, 0) + 2 * _mm_cmpistrz(s, t, 0) + 4 * _mm_cmpistrs(s, t, 0) + 8 * _mm_cmpistro(s, t, 0) + 16 * _mm_cmpistra(s, t, 0)); }
  end("text and checksum");
  char room[128] = {0};
  REPEAT { TWO; memcpy(room + i % 60, "0123456789abcdef", 16); take(_mm_loadu_si128((__m128i *)(room + i % 50))); take(_mm_lddqu_si128((__m128i *)(room + i % 33))); _mm_storeu_si128((__m128i *)(room + i % 70), a);
    _mm_storel_epi64((__m128i *)(room + i % 90), b); _mm_maskmoveu_si128(a, b, room + i % 64); _mm_stream_si32((int *)(void *)(room + 64), i); mix(room, sizeof room); }
  end("memory");
  return 0;
}
