/*
 * What people's own programs do, with the C library as they use it: sort records, count words in a hash table, multiply matrices of
 * doubles, parse JSON. Usage: programs NAME SIZE; prints figures that depend on every step, the same with 32 and 64 bits.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* xorshift64*, so that every host makes the same input. */
static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1du >> 32;
}

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL) {
		fprintf(stderr, "programs: out of memory\n");
		exit(1);
	}
	return memory;
}

/* A word of 3 to 8 letters, frequent ones and rare ones; `number` says which. */
static size_t write_word(char *word, uint32_t number)
{
	size_t length = 3 + number % 6;

	for (size_t i = 0; i < length; i++, number = number * 2654435761u + 12345)
		word[i] = 'a' + (number >> 16) % 26;
	word[length] = '\0';
	return length;
}

/* --- sort: qsort() of pointers to records, by name and then by number. SIZE thousand records. */

struct record {
	char name[12];
	uint32_t number;
	double weight;
};

static int compare_records(const void *left, const void *right)
{
	const struct record *a = *(const struct record *const *)left, *b = *(const struct record *const *)right;
	int order = strcmp(a->name, b->name);

	return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static void run_sort(long size)
{
	size_t count = size * 1000;
	struct record *records = allocate(count * sizeof *records), **order = allocate(count * sizeof *order);
	double weight = 0;
	uint32_t hash = 0;

	for (size_t i = 0; i < count; i++) {
		write_word(records[i].name, next_random() % 5000);
		records[i].number = next_random();
		records[i].weight = records[i].number / 1024.0;
		order[i] = &records[i];
	}
	qsort(order, count, sizeof *order, compare_records);
	for (size_t i = 0; i < count; i++) {
		hash = hash * 31 + order[i]->number;
		weight += order[i]->weight * (i % 8);
	}
	printf("%08x %.3f\n", hash, weight);
}

/* --- hash: words of a text are counted in a chained hash table that grows. SIZE thousand words. */

struct entry {
	struct entry *next;
	uint32_t hash, count;
	char word[];
};

struct table {
	struct entry **buckets;
	size_t size, used;
};

static uint32_t hash_word(const char *word)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *word != '\0'; word++)
		hash = (hash ^ (uint8_t)*word) * 16777619u;
	return hash;
}

static void grow(struct table *table)
{
	size_t size = table->size * 2;
	struct entry **buckets = calloc(size, sizeof *buckets);

	if (buckets == NULL)
		exit(1);
	for (size_t i = 0; i < table->size; i++)
		for (struct entry *entry = table->buckets[i], *next; entry != NULL; entry = next) {
			next = entry->next;
			entry->next = buckets[entry->hash % size];
			buckets[entry->hash % size] = entry;
		}
	free(table->buckets);
	table->buckets = buckets, table->size = size;
}

static void count_word(struct table *table, const char *word)
{
	uint32_t hash = hash_word(word);
	struct entry *entry = table->buckets[hash % table->size];

	while (entry != NULL && (entry->hash != hash || strcmp(entry->word, word) != 0))
		entry = entry->next;
	if (entry == NULL) {
		if (++table->used > table->size)
			grow(table);
		entry = allocate(sizeof *entry + strlen(word) + 1);
		strcpy(entry->word, word);
		entry->hash = hash, entry->count = 0;
		entry->next = table->buckets[hash % table->size];
		table->buckets[hash % table->size] = entry;
	}
	entry->count++;
}

static void run_hash(long size)
{
	struct table table = { calloc(16, sizeof *table.buckets), 16, 0 };
	uint32_t sum = 0, most = 0;
	char word[12];

	if (table.buckets == NULL)
		exit(1);
	for (long i = 0; i < size * 1000; i++) {
		uint32_t number = next_random();
		/* Half of the words are of a small vocabulary, as in a text. */
		write_word(word, number & 1 ? number % 997 : number % 200003);
		count_word(&table, word);
	}
	for (size_t i = 0; i < table.size; i++)
		for (struct entry *entry = table.buckets[i]; entry != NULL; entry = entry->next) {
			sum += entry->hash * entry->count;
			most = entry->count > most ? entry->count : most;
		}
	printf("%lu %08x %u\n", (unsigned long)table.used, sum, most);
}

/* --- matrix: products of 128 x 128 matrices of doubles. SIZE products. */

enum { SIDE = 128 };

static void multiply(double (*restrict product)[SIDE], double (*restrict left)[SIDE], double (*restrict right)[SIDE])
{
	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++)
			product[i][j] = 0;
		for (int k = 0; k < SIDE; k++)
			for (int j = 0; j < SIDE; j++)
				product[i][j] += left[i][k] * right[k][j];
	}
}

static void run_matrix(long size)
{
	static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
	double trace = 0;

	for (int i = 0; i < SIDE; i++)
		for (int j = 0; j < SIDE; j++) {
			a[i][j] = next_random() / 4294967296.0 - 0.5;
			b[i][j] = next_random() / 4294967296.0 - 0.5;
		}
	for (long round = 0; round < size; round++) {
		multiply(c, a, b);
		for (int i = 0; i < SIDE; i++) {
			trace += c[i][i];
			/* The next product is another one, and stays of the same size. */
			for (int j = 0; j < SIDE; j++)
				a[i][j] = c[i][j] / 8 + (i == j);
		}
	}
	printf("%.17g\n", trace);
}

/* --- json: a text of some 60 KB is parsed into a tree, and the tree is added up and freed. SIZE times. */

enum kind { NOTHING, TRUTH, NUMBER, TEXT, LIST, OBJECT };

struct value {
	enum kind kind;
	double number;
	char *text, *key;
	struct value *first, *next;
};

static const char *at;

static void skip_space(void)
{
	while (isspace((unsigned char)*at))
		at++;
}

static void expect(const char *word)
{
	size_t length = strlen(word);

	if (strncmp(at, word, length) != 0) {
		fprintf(stderr, "programs: JSON: expected %s before \"%.20s\"\n", word, at);
		exit(1);
	}
	at += length;
}

static char *parse_text(void)
{
	size_t length = 0, room = 16;
	char *text = allocate(room);

	expect("\"");
	while (*at != '"' && *at != '\0') {
		char letter = *at++;
		if (letter == '\\') {
			letter = *at++;
			if (letter == 'n')
				letter = '\n';
			else if (letter == 'u')
				letter = strtol((char[]){ at[2], at[3], '\0' }, NULL, 16), at += 4;
		}
		if (length + 1 == room && (text = realloc(text, room *= 2)) == NULL)
			exit(1);
		text[length++] = letter;
	}
	expect("\"");
	text[length] = '\0';
	return text;
}

static struct value *parse_value(void);

static void parse_members(struct value *parent, char close)
{
	struct value **last = &parent->first;

	at++;
	for (skip_space(); *at != close; skip_space()) {
		char *key = NULL;
		if (parent->first != NULL)
			expect(","), skip_space();
		if (close == '}')
			key = parse_text(), skip_space(), expect(":");
		*last = parse_value();
		(*last)->key = key;
		last = &(*last)->next;
	}
	at++;
}

static struct value *parse_value(void)
{
	struct value *value = allocate(sizeof *value);
	char *end;

	memset(value, 0, sizeof *value);
	skip_space();
	switch (*at) {
	case '{': value->kind = OBJECT, parse_members(value, '}'); break;
	case '[': value->kind = LIST, parse_members(value, ']'); break;
	case '"': value->kind = TEXT, value->text = parse_text(); break;
	case 't': value->kind = TRUTH, value->number = 1, expect("true"); break;
	case 'f': value->kind = TRUTH, expect("false"); break;
	case 'n': expect("null"); break;
	default:
		value->kind = NUMBER, value->number = strtod(at, &end);
		if (end == at)
			expect("a number");
		at = end;
	}
	return value;
}

/* Adds a tree up, and frees it. */
static double take_down(struct value *value, uint32_t *hash)
{
	double sum = value->number;

	*hash = *hash * 31 + value->kind;
	if (value->key != NULL)
		*hash ^= hash_word(value->key);
	if (value->text != NULL)
		*hash ^= hash_word(value->text);
	for (struct value *child = value->first, *next; child != NULL; child = next) {
		next = child->next;
		sum += take_down(child, hash);
	}
	free(value->key), free(value->text), free(value);
	return sum;
}

static char *write_json(void)
{
	enum { RECORDS = 400 };
	char *text = allocate(RECORDS * 256), *end = text, name[12];

	end += sprintf(end, "[");
	for (int i = 0; i < RECORDS; i++) {
		uint32_t number = next_random();
		write_word(name, number);
		end += sprintf(end, "%s\n  {\"id\": %u, \"name\": \"%s\\n\\u00%02x\", \"price\": %u.%02u, \"rate\": -%u.5e-%u, ", i == 0 ? "" : ",", number,
			       name, 0x20 + number % 64, number % 5000, number % 100, number % 977, number % 9);
		end += sprintf(end, "\"tags\": [\"%c%s\", \"%.3s\"], \"sold\": %s, \"note\": null}", 'A' + i % 26, name, name, i % 3 == 0 ? "true" : "false");
	}
	sprintf(end, "\n]\n");
	return text;
}

static void run_json(long size)
{
	char *text = write_json();
	double sum = 0;
	uint32_t hash = 0;

	for (long round = 0; round < size; round++) {
		at = text;
		sum += take_down(parse_value(), &hash);
		skip_space();
		if (*at != '\0')
			expect("the end");
	}
	printf("%lu %08x %.17g\n", (unsigned long)strlen(text), hash, sum);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(long size);
	} programs[] = { { "sort", run_sort }, { "hash", run_hash }, { "matrix", run_matrix }, { "json", run_json } };

	for (size_t i = 0; argc == 3 && i < sizeof programs / sizeof programs[0]; i++)
		if (strcmp(argv[1], programs[i].name) == 0) {
			programs[i].run(atol(argv[2]));
			return 0;
		}
	fprintf(stderr, "usage: programs NAME SIZE\n");
	return 2;
}
