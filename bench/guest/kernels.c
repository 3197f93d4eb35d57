/*
 * Integer kernels: general registers only, no vectors, no system calls while they run. Usage: kernels NAME SCALE;
 * prints 64 bits that depend on every step. Nothing here depends on the compiler's choices or on addresses.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES (1 << 20)

static uint8_t buffer[BUFFER_BYTES];

/* xorshift64*, so that every host fills memory alike. */
static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1du;
}

static void fill_buffer(void)
{
	for (size_t i = 0; i < BUFFER_BYTES; i++)
		buffer[i] = next_random() >> 56;
}

/* Table-driven CRC-32, a byte at a time. One unit of scale = 1 MiB. */
static uint64_t run_crc32(long scale)
{
	static uint32_t table[256];
	uint32_t crc = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;
		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
		table[i] = value;
	}
	fill_buffer();
	for (long round = 0; round < scale; round++)
		for (size_t i = 0; i < BUFFER_BYTES; i++)
			crc = table[(crc ^ buffer[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

static int compare_words(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return (a > b) - (a < b);
}

static void sift_down(uint32_t *heap, size_t root, size_t end, int (*compare)(const void *, const void *))
{
	for (size_t child; (child = 2 * root + 1) < end; root = child) {
		if (child + 1 < end && compare(&heap[child], &heap[child + 1]) < 0)
			child++;
		if (compare(&heap[root], &heap[child]) >= 0)
			return;
		uint32_t moved = heap[root];
		heap[root] = heap[child];
		heap[child] = moved;
	}
}

/* Heap sort with a comparison by function pointer. One unit = 16 Ki words. */
static uint64_t run_sort(long scale)
{
	int (*volatile compare)(const void *, const void *) = compare_words;
	static uint32_t words[16384];
	uint64_t hash = 0;

	for (long round = 0; round < scale; round++) {
		size_t count = sizeof words / sizeof words[0];
		for (size_t i = 0; i < count; i++)
			words[i] = next_random();
		for (size_t i = count / 2; i-- > 0;)
			sift_down(words, i, count, compare);
		for (size_t end = count; end-- > 1;) {
			uint32_t largest = words[0];
			words[0] = words[end];
			words[end] = largest;
			sift_down(words, 0, end, compare);
		}
		for (size_t i = 0; i < count; i++)
			hash = hash * 31 + words[i];
	}
	return hash;
}

static uint32_t rotate_right(uint32_t value, int by)
{
	return value >> by | value << (32 - by);
}

/* SHA-256's compression function (FIPS 180-4, 6.2.2), constants made by the generator above. One unit = 1 MiB. */
static uint64_t run_sha256(long scale)
{
	static uint32_t constants[64];
	uint32_t state[8], schedule[64];

	for (int i = 0; i < 64; i++)
		constants[i] = next_random();
	for (int i = 0; i < 8; i++)
		state[i] = next_random();
	fill_buffer();
	for (long block = 0; block < scale * (BUFFER_BYTES / 64); block++) {
		const uint8_t *bytes = buffer + block % (BUFFER_BYTES / 64) * 64;
		for (int i = 0; i < 16; i++)
			schedule[i] = (uint32_t)bytes[4 * i] << 24 | bytes[4 * i + 1] << 16 | bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
		for (int i = 16; i < 64; i++) {
			uint32_t w15 = schedule[i - 15], w2 = schedule[i - 2];
			schedule[i] = schedule[i - 16] + (rotate_right(w15, 7) ^ rotate_right(w15, 18) ^ w15 >> 3) +
				      schedule[i - 7] + (rotate_right(w2, 17) ^ rotate_right(w2, 19) ^ w2 >> 10);
		}
		uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
		uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
		for (int i = 0; i < 64; i++) {
			uint32_t t1 = h + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
				      ((e & f) ^ (~e & g)) + constants[i] + schedule[i];
			uint32_t t2 = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
				      ((a & b) ^ (a & c) ^ (b & c));
			h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
		}
		state[0] += a, state[1] += b, state[2] += c, state[3] += d;
		state[4] += e, state[5] += f, state[6] += g, state[7] += h;
	}
	return (uint64_t)state[0] << 32 | state[7];
}

/* Product of 128 x 128 matrices of 64-bit words. One unit = one product. */
static uint64_t run_matrix(long scale)
{
	enum { SIDE = 128 };
	static uint64_t left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];
	uint64_t hash = 0;

	for (int i = 0; i < SIDE; i++)
		for (int j = 0; j < SIDE; j++)
			left[i][j] = next_random(), right[i][j] = next_random();
	for (long round = 0; round < scale; round++) {
		for (int i = 0; i < SIDE; i++)
			for (int j = 0; j < SIDE; j++) {
				uint64_t sum = round;
				for (int k = 0; k < SIDE; k++)
					sum += left[i][k] * right[k][j];
				product[i][j] = sum;
			}
		for (int i = 0; i < SIDE; i++)
			for (int j = 0; j < SIDE; j++)
				hash = hash * 31 + product[i][j];
	}
	return hash;
}

static __attribute__((noinline)) uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

/* Recursion. One unit = fib(27). */
static uint64_t run_fib(long scale)
{
	uint64_t hash = 0;

	for (long round = 0; round < scale; round++)
		hash = hash * 31 + fib(27);
	return hash;
}

/* Search for absent and present words in text of 16 letters, by a first-byte scan and a compare. One unit = 1 MiB. */
static uint64_t run_search(long scale)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < BUFFER_BYTES; i++)
		buffer[i] = 'a' + (next_random() >> 60);
	for (long round = 0; round < scale; round++) {
		uint8_t word[5];
		for (size_t i = 0; i < sizeof word; i++)
			word[i] = 'a' + (next_random() >> 60);
		for (size_t i = 0; i + sizeof word <= BUFFER_BYTES; i++) {
			size_t length = 0;
			while (length < sizeof word && buffer[i + length] == word[length])
				length++;
			if (length == sizeof word)
				hash = hash * 31 + i;
		}
	}
	return hash;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint64_t (*run)(long scale);
	} kernels[] = {
		{ "crc32", run_crc32 }, { "sort", run_sort }, { "sha256", run_sha256 },
		{ "matrix", run_matrix }, { "fib", run_fib }, { "search", run_search },
	};

	for (size_t i = 0; argc == 3 && i < sizeof kernels / sizeof kernels[0]; i++)
		if (strcmp(argv[1], kernels[i].name) == 0) {
			printf("%016llx\n", (unsigned long long)kernels[i].run(atol(argv[2])));
			return 0;
		}
	fprintf(stderr, "usage: kernels NAME SCALE\n");
	return 2;
}
