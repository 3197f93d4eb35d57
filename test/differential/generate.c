/*
 * Runs single instructions on the processor of the host and reports what they did.
 *
 * Standard input is a sequence of struct test_case, standard output a sequence of struct test_result, each followed by
 * `change_count` struct memory_change. src/cpu/differential/native.ts is the other side and has the same layouts.
 *
 * How one case runs: all registers are set at once by rt_sigreturn with a hand-made signal frame, so RSP, RFLAGS, CS
 * (0x33 for 64-bit, 0x23 for 32-bit code) and the whole FXSAVE image are free to choose. The code pages are filled with INT3, so that an
 * instruction that completes ends in SIGTRAP wherever it went. The kernel delivers every exception on the alternate
 * stack with the final state in the ucontext; the handler copies it and leaves by a long jump.
 *
 * While a case runs FS base is not ours, so nothing between enter_case and the first line of the handler may use thread-local storage.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

/* The addresses of src/cpu/differential/layout.ts. */
#define CODE_BASE 0x10000000ul
#define CODE_SIZE 0x2000ul
#define CODE_ALIAS 0x18000000ul /* the code pages again, writable; the program under test can only read its code */
#define DATA_BASE 0x20000000ul
#define DATA_SIZE 0x2000ul
#define WINDOW_OFFSET 0xe00ul
#define WINDOW_SIZE 1024
#define LOW_DATA_BASE 0x8000ul /* the data pages again, for 16-bit addresses */
#define READ_ONLY_BASE 0x20004000ul
#define READ_ONLY_SIZE 0x1000ul

/* Where no random stack pointer lies: the kernel would take it for a handler that is already running. */
#define ALTERNATE_STACK 0x5a3c69970000ul
#define ALTERNATE_STACK_SIZE 0x40000ul

#define TRAP_TIMEOUT 255

struct test_case {
	uint32_t mode; /* 0: 64-bit, 1: 32-bit compatibility mode */
	uint32_t code_offset;
	uint32_t code_length;
	uint32_t reserved;
	uint8_t code[16];
	uint64_t gpr[16]; /* in the order of the instruction encoding */
	uint64_t rflags;
	uint64_t fs_base;
	uint64_t gs_base;
	uint8_t fx[512];
	uint8_t window[WINDOW_SIZE];
};

struct test_result {
	uint32_t trap;
	uint32_t error_code;
	uint64_t cr2;
	uint64_t rip;
	uint64_t gpr[16];
	uint64_t rflags;
	uint64_t fs_base;
	uint64_t gs_base;
	uint16_t cs, ss, ds, es, fs, gs;
	uint32_t change_count;
	uint8_t fx[512];
};

struct memory_change {
	uint64_t address;
	uint64_t value;
};

static struct test_case current;
static struct test_result result;
static uint8_t background[DATA_SIZE];
static uint8_t expected[DATA_SIZE];
static uint8_t image[512] __attribute__((aligned(64)));
static ucontext_t frame __attribute__((aligned(64)));
static uint64_t own_fs_base;

/* Order of the instruction encoding, as indices into uc_mcontext.gregs. */
static const int gpr_index[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

void *saved_stack;
void enter_case(ucontext_t *context, uint64_t fs_base, uint64_t gs_base);
void leave_case(void);
__asm__(
	".text\n"
	"enter_case:\n"
	"  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"  mov %rsp, saved_stack(%rip)\n"
	"  mov $0x2b, %eax; mov %eax, %ds; mov %eax, %es\n"
	"  xor %eax, %eax; mov %eax, %gs\n"
	"  wrgsbase %rdx\n"
	"  wrfsbase %rsi\n"
	"  push $0x202; popfq\n"
	"  mov %rdi, %rsp\n"
	"  mov $15, %eax\n" /* rt_sigreturn */
	"  syscall\n"
	"  ud2\n"
	"leave_case:\n"
	"  mov saved_stack(%rip), %rsp\n"
	"  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"  ret\n");

static void collect(int signal_number, siginfo_t *info, void *context_pointer)
{
	uint64_t fs_base, gs_base;
	uint16_t ds, es, fs, gs;
	__asm__ volatile("rdfsbase %0; rdgsbase %1; mov %%ds, %2; mov %%es, %3; mov %%fs, %4; mov %%gs, %5"
		: "=r"(fs_base), "=r"(gs_base), "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	__asm__ volatile("mov %0, %%fs; wrfsbase %1" : : "r"(0), "r"(own_fs_base));
	__asm__ volatile("push $0x202; popfq" : : : "memory", "cc");
	(void)info;
	const ucontext_t *context = context_pointer;
	const greg_t *registers = context->uc_mcontext.gregs;
	result.trap = signal_number == SIGALRM ? TRAP_TIMEOUT : (uint32_t)registers[REG_TRAPNO];
	result.error_code = (uint32_t)registers[REG_ERR];
	result.cr2 = result.trap == 14 ? (uint64_t)registers[REG_CR2] : 0;
	result.rip = (uint64_t)registers[REG_RIP];
	for (int i = 0; i < 16; i++) result.gpr[i] = (uint64_t)registers[gpr_index[i]];
	result.rflags = (uint64_t)registers[REG_EFL];
	result.fs_base = fs_base;
	result.gs_base = gs_base;
	uint64_t selectors = (uint64_t)registers[REG_CSGSFS];
	result.cs = (uint16_t)selectors;
	result.ss = (uint16_t)(selectors >> 48);
	result.ds = ds;
	result.es = es;
	result.fs = fs;
	result.gs = gs;
	memcpy(result.fx, context->uc_mcontext.fpregs, sizeof result.fx);
	leave_case();
}

/* Maps memory at `address`; `file` -1 means pages of its own. */
static void *map(uint64_t address, uint64_t size, int protection, int file)
{
	int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *at = mmap((void *)address, size, protection, flags | MAP_FIXED_NOREPLACE | MAP_POPULATE, file, 0);
	if (at != (void *)address) {
		perror("generate: cannot map the test's pages");
		exit(2);
	}
	return at;
}

/* Pages that can be mapped at several addresses. */
static int shared_pages(uint64_t size)
{
	int file = memfd_create("pages", 0);
	if (file < 0 || ftruncate(file, (off_t)size) != 0) {
		perror("generate: cannot make the test's pages");
		exit(2);
	}
	return file;
}

/* Bytes outside the window: fixed, so that both sides know them without a word. */
static void fill_background(uint8_t *bytes, uint64_t size)
{
	uint32_t x = 0x9e3779b9;
	for (uint64_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		bytes[i] = (uint8_t)x;
	}
}

static void catch_signals(void)
{
	stack_t stack = { .ss_sp = (void *)ALTERNATE_STACK, .ss_size = ALTERNATE_STACK_SIZE };
	sigaltstack(&stack, NULL);
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	action.sa_sigaction = collect;
	const int signals[] = { SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS, SIGALRM };
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}

static void prepare_frame(void)
{
	memset(&frame, 0, sizeof frame);
	frame.uc_flags = 2 | 4; /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
	frame.uc_stack.ss_sp = (void *)ALTERNATE_STACK;
	frame.uc_stack.ss_size = ALTERNATE_STACK_SIZE;
	greg_t *registers = frame.uc_mcontext.gregs;
	for (int i = 0; i < 16; i++) registers[gpr_index[i]] = (greg_t)current.gpr[i];
	registers[REG_RIP] = (greg_t)(CODE_BASE + current.code_offset);
	registers[REG_EFL] = (greg_t)current.rflags;
	registers[REG_CSGSFS] = (greg_t)((0x2bull << 48) | (current.mode ? 0x23 : 0x33));
	memcpy(image, current.fx, sizeof image);
	frame.uc_mcontext.fpregs = (void *)image;
}

static void run_case(uint8_t *code, uint8_t *data)
{
	memcpy(code + current.code_offset, current.code, current.code_length); /* the driver cuts it at the end of the pages */
	memcpy(expected, background, DATA_SIZE);
	memcpy(expected + WINDOW_OFFSET, current.window, WINDOW_SIZE);
	memcpy(data, expected, DATA_SIZE);
	memset(&result, 0, sizeof result);
	prepare_frame();
	struct itimerval limit = { .it_value = { .tv_sec = 2 } };
	setitimer(ITIMER_REAL, &limit, NULL);
	enter_case(&frame, current.fs_base, current.gs_base);
	memset(code + current.code_offset, 0xcc, current.code_length);
}

static void report(const uint8_t *data)
{
	static struct memory_change changes[DATA_SIZE / 8];
	uint32_t count = 0;
	for (uint64_t i = 0; i < DATA_SIZE; i += 8) {
		if (memcmp(data + i, expected + i, 8) == 0) continue;
		changes[count].address = DATA_BASE + i;
		memcpy(&changes[count].value, data + i, 8);
		count++;
	}
	result.change_count = count;
	fwrite(&result, sizeof result, 1, stdout);
	fwrite(changes, sizeof *changes, count, stdout);
}

int main(void)
{
	int code_file = shared_pages(CODE_SIZE);
	int file = shared_pages(DATA_SIZE);
	map(CODE_BASE, CODE_SIZE, PROT_READ | PROT_EXEC, code_file);
	uint8_t *code = map(CODE_ALIAS, CODE_SIZE, PROT_READ | PROT_WRITE, code_file);
	uint8_t *data = map(DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE, file);
	map(LOW_DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE, file);
	uint8_t *read_only = map(READ_ONLY_BASE, READ_ONLY_SIZE, PROT_READ | PROT_WRITE, -1);
	fill_background(background, sizeof background);
	memcpy(read_only, background, READ_ONLY_SIZE);
	mprotect(read_only, READ_ONLY_SIZE, PROT_READ);
	memset(code, 0xcc, CODE_SIZE);
	syscall(SYS_arch_prctl, ARCH_GET_FS, &own_fs_base);
	map(ALTERNATE_STACK, ALTERNATE_STACK_SIZE, PROT_READ | PROT_WRITE, -1);
	catch_signals();
	while (fread(&current, sizeof current, 1, stdin) == 1) {
		run_case(code, data);
		report(data);
	}
	return fflush(stdout) == 0 ? 0 : 2;
}
