/** The programs of the bare-metal tests. The bytes are what GNU as makes of the source beside them. */
import { listing } from "./listing.js";

export const TRAMPOLINE = listing(0xb000, `
  fa                             cli
  0f 01 16 00 a0                 lgdt [0xa000]
  0f 20 c0                       mov eax, cr0
  0c 01                          or al, 1
  0f 22 c0                       mov cr0, eax
  ea 13 b0 18 00                 jmp 0x18:protected
  66 b8 10 00                    protected: mov ax, 0x10
  8e d8                          mov ds, ax
  8e d0                          mov ss, ax
  0f 20 e0                       mov eax, cr4
  83 c8 20                       or eax, 0x20
  0f 22 e0                       mov cr4, eax
  b8 00 10 00 00                 mov eax, 0x1000
  0f 22 d8                       mov cr3, eax
  b9 80 00 00 c0                 mov ecx, 0xc0000080
  0f 32                          rdmsr
  0d 00 09 00 00                 or eax, 0x900
  0f 30                          wrmsr
  0f 20 c0                       mov eax, cr0
  0d 00 00 00 80                 or eax, 0x80000000
  0f 22 c0                       mov cr0, eax
  ea 4c b0 00 00 08 00           jmp 0x08:long
  48 b8 88 77 66 55 44 33 22 11  long: mov rax, 0x1122334455667788
  f4                             hlt
`);

export const STEPS = listing(0x10000, `
  0f a2                 cpuid
  b9 1b 00 00 00        mov ecx, 0x1b
  0f 32                 rdmsr
  e6 80                 out 0x80, al
  e4 80                 in al, 0x80
  6e                    outsb
  0f c7 f0              rdrand eax
  48 8d 34 24           lea rsi, [rsp]
  b9 02 00 00 00        mov ecx, 2
  f3 ac                 rep lodsb
  66 8c d0              mov ax, ss
  8e d0                 mov ss, ax
  90                    nop
  f4                    hlt
  90                    nop
  9c                    pushfq
  81 24 24 ff fe ff ff  and dword ptr [rsp], 0xfffffeff
  9d                    popfq
  90                    nop
  f4                    hlt
`);

export const RECORD = listing(0x12000, `
  50                       push rax
  48 8b 44 24 08           mov rax, [rsp+8]
  48 89 03                 mov [rbx], rax
  0f 21 f0                 mov rax, dr6
  48 89 43 08              mov [rbx+8], rax
  48 8b 44 24 18           mov rax, [rsp+24]
  48 89 43 10              mov [rbx+16], rax
  48 83 c3 18              add rbx, 24
  b8 f0 0f ff ff           mov eax, 0xffff0ff0
  0f 23 f0                 mov dr6, rax
  81 4c 24 18 00 00 01 00  or dword ptr [rsp+24], 0x10000
  58                       pop rax
  48 cf                    iretq
`);

export const BREAKPOINTS = listing(0x10000, `
  90        nop
  ff c2     bp: inc edx
  ff c2     inc edx
  66 8c d0  mov ax, ss
  8e d0     mov ss, ax
  ff c2     shadowed: inc edx
  48 89 17  mov [rdi], rdx
  90        nop
  f1        .byte 0xf1
  f4        hlt
`);

export const REPEATED = listing(0x10000, `
  f3 a4                 rep movsb
  9c                    pushfq
  81 24 24 ff fe ff ff  and dword ptr [rsp], 0xfffffeff
  9d                    popfq
  f4                    hlt
`);

export const MISALIGNED = listing(0x10000, `
  8b 07     mov eax, [rdi]
  8b 47 01  mov eax, [rdi+1]
  f4        hlt
`);

export const LOADER = listing(0x10000, `
  48 8b 07  mov rax, [rdi]
  f4        hlt
`);

export const STORER = listing(0x10000, `
  48 89 07  mov [rdi], rax
  f4        hlt
`);

export const CALLER = listing(0x10000, `
  ff d7  call rdi
  f4     hlt
`);

export const JUMPER = listing(0x10000, `
  ff e7  jmp rdi
  f4     hlt
`);

export const PUSHER = listing(0x10000, `
  50  push rax
  f4  hlt
`);

export const POPPER = listing(0x10000, `
  58  pop rax
  f4  hlt
`);

export const RETURNER = listing(0x10000, `
  c3  ret
  f4  hlt
`);

export const BASED = listing(0x10000, `
  48 8b 45 00  mov rax, [rbp]
  f4           hlt
`);

export const IRETTER = listing(0x10000, `
  48 cf  iretq
`);

export const OPEN = listing(0x10000, `
  0f 01 cb              stac
  48 8b 07              mov rax, [rdi]
  48 89 07              mov [rdi], rax
  0f 01 ca              clac
  9c                    pushfq
  81 0c 24 00 00 04 00  or dword ptr [rsp], 0x40000
  9d                    popfq
  48 8b 07              mov rax, [rdi]
  56                    push rsi
  0f a1                 pop fs
  0f 01 ca              clac
  48 8b 07              mov rax, [rdi]
  f4                    hlt
`);

export const USER_STAC = listing(0x10000, `
  0f 01 cb  stac
`);

export const PATCH_NEXT = listing(0x10000, `
  c6 04 25 09 00 01 00 07  mov byte ptr [patched+1], 7
  b0 01                    patched: mov al, 1
  f4                       hlt
`);

export const PATCH_BEYOND = listing(0x10ff0, `
  c6 04 25 00 10 01 00 77  mov byte ptr [0x11000], 0x77
  b0 00                    mov al, 0
  66 90 66 90 90           .byte 0x66, 0x90, 0x66, 0x90, 0x90
  b0 01                    over: mov al, 1
  f4                       hlt
`);

export const PATCH_ALIAS = listing(0x10000, `
  b0 01                    again: mov al, 1
  85 d2                    test edx, edx
  75 0c                    jnz done
  ff c2                    inc edx
  c6 04 25 01 00 02 00 09  mov byte ptr [0x20001], 9
  eb ee                    jmp again
  f4                       done: hlt
`);

export const LOOPED = listing(0x10000, `
  b0 01  top: mov al, 1
  ff c9  dec ecx
  75 fa  jnz top
  f4     hlt
`);

export const OUTPUT = listing(0x10000, `
  f3 6e  rep outsb
  f4     hlt
`);

export const INPUT = listing(0x10000, `
  f3 6c  rep insb
  f4     hlt
`);

export const INPUT_WIDE = listing(0x10000, `
  f3 6d  rep insd
  f4     hlt
`);

export const OUTPUT_16 = listing(0xb000, `
  f3 6f  rep outsw
  f4     hlt
`);

export const WRITE_32 = listing(0x10000, `
  66 b8 50 00  mov ax, 0x50
  8e d8        mov ds, ax
  8a 03        mov al, [ebx]
  88 03        mov [ebx], al
  f4           hlt
`);

export const EXECUTE_ONLY = listing(0x10000, `
  2e 8a 03              mov al, cs:[ebx]
  ea 0a 00 01 00 50 00  jmp 0x50:next
  2e 8a 03              next: mov al, cs:[ebx]
  f4                    hlt
`);

export const STACK_32 = listing(0x10000, `
  66 b8 50 00     mov ax, 0x50
  8e d0           mov ss, ax
  bc 00 01 00 00  mov esp, 0x100
  bd fe 00 00 00  mov ebp, 0xfe
  8b 45 00        mov eax, [ebp]
`);

export const PUSH_32 = listing(0x10000, `
  66 b8 50 00     mov ax, 0x50
  8e d0           mov ss, ax
  bc 02 01 00 00  mov esp, 0x102
  50              push eax
`);

export const PAGED_32 = listing(0x10000, `
  b8 00 00 02 00  mov eax, 0x20000
  0f 22 d8        mov cr3, eax
  0f 20 e0        mov eax, cr4
  83 c8 10        or eax, 0x10
  0f 22 e0        mov cr4, eax
  0f 20 c0        mov eax, cr0
  0d 00 00 01 80  or eax, 0x80010000
  0f 22 c0        mov cr0, eax
  a1 10 00 80 00  mov eax, [0x800010]
  a3 10 00 03 00  mov [0x30010], eax
  a3 00 10 03 00  mov [0x31000], eax
  f4              hlt
`);

export const PAGED_PAE = listing(0x10000, `
  b9 80 00 00 c0  mov ecx, 0xc0000080
  0f 32           rdmsr
  0d 00 08 00 00  or eax, 0x800
  0f 30           wrmsr
  b8 00 00 02 00  mov eax, 0x20000
  0f 22 d8        mov cr3, eax
  0f 20 e0        mov eax, cr4
  83 c8 20        or eax, 0x20
  0f 22 e0        mov cr4, eax
  0f 20 c0        mov eax, cr0
  0d 00 00 01 80  or eax, 0x80010000
  0f 22 c0        mov cr0, eax
  a1 10 00 20 00  mov eax, [0x200010]
  a3 10 00 03 00  mov [0x30010], eax
  b8 00 10 03 00  mov eax, 0x31000
  ff e0           jmp eax
`);

export const SHADOWED = listing(0x10000, `
  fb     sti
  ff c2  inc edx
  ff c2  inc edx
  f4     hlt
`);

export const REP_INTERRUPTED = listing(0x10000, `
  f2 ae  repne scasb
  f4     hlt
`);

export const PATCH_BY_STRING = listing(0x10000, `
  bf 0d 00 01 00  mov edi, offset patched+1
  b9 01 00 00 00  mov ecx, 1
  f3 aa           rep stosb
  b3 01           patched: mov bl, 1
  f4              hlt
`);

export const PATCH_BY_PUSH = listing(0x10000, `
  50                 push rax
  b3 01              patched: mov bl, 1
  f4                 hlt
  90 90 90 90 90 90  .byte 0x90, 0x90, 0x90, 0x90, 0x90, 0x90
`);

export const PATCH_BY_EXCHANGE = listing(0x10000, `
  86 04 25 08 00 01 00        xchg [patched+1], al
  b3 01                       patched: mov bl, 1
  f0 80 0c 25 13 00 01 00 06  lock or byte ptr [second+1], 6
  b1 01                       second: mov cl, 1
  f4                          hlt
`);

export const STACK_IN_CODE = listing(0x10000, `
  e8 03 00 00 00  call f
  b3 03           mov bl, 3
  f4              hlt
  b1 04           f: mov cl, 4
  51              push rcx
  68 34 12 00 00  push 0x1234
  5a              pop rdx
  5e              pop rsi
  c3              ret
`);
