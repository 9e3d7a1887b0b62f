#define _GNU_SOURCE
#include "probe.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const char secret[] = "a secret of the owner";

int refused(int reason) {
    errno = reason;
    return -1;
}

int is_secret(const char *bytes, size_t count) {
    size_t length = sizeof secret - 1;
    return count >= length && memcmp(bytes, secret, length) == 0 ? 0 : refused(ENODATA);
}

int holds_secret(int descriptor) {
    if (descriptor < 0) return -1;
    char bytes[64];
    ssize_t count = pread(descriptor, bytes, sizeof bytes, 0);
    int reason = errno;
    close(descriptor);
    return count < 0 ? refused(reason) : is_secret(bytes, (size_t)count);
}

int file_contains(const char *path, const char *text) {
    int opened = open(path, O_RDONLY);
    if (opened < 0) return -1;
    static char bytes[256 << 10];
    size_t total = 0;
    ssize_t count;
    while (total < sizeof bytes && (count = read(opened, bytes + total, sizeof bytes - total)) > 0) {
        total += (size_t)count;
    }
    close(opened);
    return total > 0 && memmem(bytes, total, text, strlen(text)) ? 0 : refused(ENODATA);
}

const char *path_in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s-%d", offer("folder"), name, (int)getpid());
    return path;
}

int child_ran(pid_t child) {
    int status = 0;
    if (child < 0) return -1;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RAN ? 0 : refused(ECHILD);
}

int has_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[2] = {{0}, {0}};
    if (syscall(SYS_capget, &header, held) != 0) return -1;
    return held[0].effective & (1u << CAP_SYS_ADMIN) ? 0 : refused(EPERM);
}

int enter_namespaces(int flags) { return unshare(CLONE_NEWUSER | flags) == 0 ? has_capabilities() : -1; }

#if defined(__x86_64__)
#define MACHINE EM_X86_64
// exit_group(0)
static const unsigned char program_code[] = {0x31, 0xff, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05};
const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
static const unsigned char program_code[] = {0x00, 0x00, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4};
const unsigned char code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#else
#error "the probe has machine code for x86-64 and arm64 only"
#endif
const size_t code_bytes = sizeof code;

int write_program(int descriptor) {
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segment;
        unsigned char code[sizeof program_code];
    } program = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = MACHINE,
                   .e_version = EV_CURRENT,
                   .e_entry = 0x400000 + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 1},
        .segment = {.p_type = PT_LOAD,
                    .p_flags = PF_R | PF_X,
                    .p_vaddr = 0x400000,
                    .p_paddr = 0x400000,
                    .p_filesz = sizeof program,
                    .p_memsz = sizeof program,
                    .p_align = 0x1000},
    };
    memcpy(program.code, program_code, sizeof program_code);
    return write(descriptor, &program, sizeof program) == (ssize_t)sizeof program ? 0 : -1;
}

int code_runs(void *place) {
    if (place == MAP_FAILED) return -1;
    __builtin___clear_cache((char *)place, (char *)place + sizeof code);
    return ((int (*)(void))place)() == 42 ? 0 : refused(EFAULT);
}

// A ring of one entry. Its parts lie where io_uring_setup(2) says.
int through_ring(const struct io_uring_sqe *operation) {
    struct io_uring_params parameters = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
    if (ring < 0) return -1;
    size_t queue_bytes = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
    size_t completion_bytes = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    char *queue = mmap(NULL, queue_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char *completion = mmap(NULL, completion_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *entry =
        mmap(NULL, sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (queue == MAP_FAILED || completion == MAP_FAILED || (void *)entry == MAP_FAILED) return -1;
    *entry = *operation;
    unsigned *tail = (unsigned *)(queue + parameters.sq_off.tail);
    ((unsigned *)(queue + parameters.sq_off.array))[*tail & (parameters.sq_entries - 1)] = 0;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1) return -1;
    unsigned head = *(unsigned *)(completion + parameters.cq_off.head);
    struct io_uring_cqe *results = (struct io_uring_cqe *)(completion + parameters.cq_off.cqes);
    int result = results[head & (parameters.cq_entries - 1)].res;
    close(ring);
    return result < 0 ? refused(-result) : result;
}
