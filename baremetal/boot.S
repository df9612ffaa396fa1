/* SPDX-License-Identifier: MIT
 *
 * From the loader to C++: the Multiboot header; the first CPU from protected to 64-bit mode; the
 * others from real mode. Sources: Multiboot Specification 0.6.96; SDM volume 3, sections 10.8.5
 * (IA-32e mode) and 9.4.4 (MP initialisation).
 */
#include "baremetal/layout.h"
#include "platform/baremetal/layout.h"

#define MULTIBOOT_MAGIC 0x1badb002
/* Memory information wanted; and where the image is to be loaded, for it is no ELF-32. */
#define MULTIBOOT_FLAGS 0x00010002

#define CR0_PE 0x00000001
#define CR0_PG 0x80000000
#define CR0_WP 0x00010000
#define CR4_PAE 0x00000020
#define IA32_EFER 0xc0000080
#define EFER_SCE 0x001
#define EFER_LME 0x100

#define PAGE_PRESENT 0x001
#define PAGE_WRITABLE 0x002
#define PAGE_UNCACHED 0x010
#define PAGE_LARGE 0x080

/* All but CR0; the same in 16 and in 32 bits. */
    .macro prepare_long_mode
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $IA32_EFER, %ecx
    rdmsr
    orl $(EFER_LME + EFER_SCE), %eax
    wrmsr
    .endm

    .macro load_data_segments
    movl $SELECTOR_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    .endm

    .section .multiboot, "a"
    .balign 4
multiboot_header:
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
    .long multiboot_header, image_begin, load_end, image_end, boot_start

    .section .boot, "awx"
    .code32
    .globl boot_start
boot_start:
    cli
    cld
    movl $boot_stack_end, %esp
    movl %eax, %ebp                 /* the loader's magic, and its information */
    movl %ebx, %esi

    movl $0x80000000, %eax          /* Is there a 64-bit mode? CPUID.80000001H:EDX[29] */
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc no_long_mode

    /* The first 4 GiB, as they are: 4 KiB pages for the first 2 MiB, 2 MiB pages for the rest; from
     * 3 GiB on there are devices. */
    movl $pml4, %edi
    movl $(pdpt + PAGE_PRESENT + PAGE_WRITABLE), (%edi)
    movl $pdpt, %edi
    movl $(page_directories + PAGE_PRESENT + PAGE_WRITABLE), %eax
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 1b
    movl $page_directories, %edi
    movl $(PAGE_PRESENT + PAGE_WRITABLE + PAGE_LARGE), %eax
    movl $2048, %ecx
2:  movl %eax, (%edi)
    cmpl $0xc0000000, %eax
    jb 3f
    orl $PAGE_UNCACHED, (%edi)
3:  addl $0x200000, %eax
    addl $8, %edi
    loop 2b
    movl $(first_pages + PAGE_PRESENT + PAGE_WRITABLE), page_directories
    movl $first_pages, %edi
    movl $(PAGE_PRESENT + PAGE_WRITABLE), %eax
    movl $512, %ecx
4:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 4b

    prepare_long_mode
    movl %cr0, %eax
    orl $(CR0_PG + CR0_WP + CR0_PE), %eax
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $SELECTOR_CODE, $boot_64

no_long_mode:
    movl $no_long_mode_text, %esi
5:  movw $0x3fd, %dx                /* COM1, as the firmware left it: LSR, then THR */
    inb %dx, %al
    testb $0x20, %al
    jz 5b
    movb (%esi), %al
    testb %al, %al
    jz 6f
    movw $0x3f8, %dx
    outb %al, %dx
    incl %esi
    jmp 5b
6:  movl $EXIT_FAIL, %eax
    outl %eax, $EXIT_PORT
    hlt
    jmp 6b
no_long_mode_text:
    .asciz "FAIL boot: this processor has no 64-bit mode\n"

    .code64
boot_64:
    load_data_segments
    movl %ebp, %edi
    movl %esi, %esi
    xorl %ebp, %ebp
    movl $boot_stack_end, %esp
    call nmircu_boot
7:  cli
    hlt
    jmp 7b

    /* Copied to TRAMPOLINE, below 1 MiB, where a CPU begins in real mode at CS:IP = page:0. */
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl TRAMPOLINE + boot_gdt_pointer_low - trampoline
    prepare_long_mode
    movl $(CR0_PG + CR0_WP + CR0_PE + 0x10), %eax
    movl %eax, %cr0
    ljmpl $SELECTOR_CODE, $application_cpu_64
    .balign 4
boot_gdt_pointer_low:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
trampoline_end:

    .code64
    /* On the stack of its first thread, with its area in RDI. */
application_cpu_64:
    load_data_segments
    movl starting_cpu_area, %edi
    leal CPU_NMI_STACKS(%rdi), %esp
    xorl %ebp, %ebp
    call nmircu_boot_application_cpu
8:  cli
    hlt
    jmp 8b

    .balign 8
    .globl starting_cpu_area
starting_cpu_area:
    .quad 0
    /* SDM volume 3, figures 5-1 and 3-8: a 64-bit code segment, a data segment. */
boot_gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt

    .section .boot_tables, "aw"
    .balign 4096
    .globl pml4, pdpt, page_directories, first_pages
pml4: .skip 4096
pdpt: .skip 4096
page_directories: .skip 4 * 4096
first_pages: .skip 4096
boot_stack: .skip 8192
boot_stack_end:

    .section .note.GNU-stack, "", @progbits
