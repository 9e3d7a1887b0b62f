// A kernel that lacks or forbids some system calls: lets them fail, for itself and all that it executes, and becomes
// COMMAND.
//
//   refuse-calls EPERM|ENOSYS CALL[,CALL...] -- COMMAND ARGUMENT...
//
// CALL is a name; NAME=N refuses only calls whose first argument is N, and NAME:N those whose first argument has one of
// the bits of N. Exit status 64: it was asked for something that it does not know; 126: it could not do it.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Numbers from 424 on are the same on every architecture (asm-generic/unistd.h), and older headers lack them.
static const struct {
    const char *name;
    unsigned number;
} calls[] = {
    {"capget", SYS_capget}, {"capset", SYS_capset}, {"clone", SYS_clone}, {"close_range", 436},
    {"execveat", SYS_execveat}, {"fsconfig", 431}, {"fsmount", 432}, {"fsopen", 430}, {"ioctl", SYS_ioctl},
    {"landlock_add_rule", 445}, {"landlock_create_ruleset", 444}, {"landlock_restrict_self", 446},
    {"mount", SYS_mount}, {"mount_setattr", 442}, {"move_mount", 429}, {"open_tree", 428}, {"openat2", 437},
    {"pidfd_open", 434}, {"pipe2", SYS_pipe2}, {"pivot_root", SYS_pivot_root}, {"ppoll", SYS_ppoll},
    {"prctl", SYS_prctl}, {"prlimit64", SYS_prlimit64}, {"rt_sigprocmask", SYS_rt_sigprocmask},
    {"seccomp", SYS_seccomp}, {"setrlimit", SYS_setrlimit}, {"setsid", SYS_setsid}, {"signalfd4", SYS_signalfd4},
    {"umount2", SYS_umount2}, {"unshare", SYS_unshare},
};

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { instructions_max = 512 };
static struct sock_filter program[instructions_max];
static unsigned short length;

static void add(unsigned short code, unsigned value, unsigned char if_true, unsigned char if_false) {
    if (length == instructions_max) exit(64);
    program[length++] = (struct sock_filter){.code = code, .jt = if_true, .jf = if_false, .k = value};
}

static void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset, 0, 0); }

static unsigned number_of(const char *name) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (!strcmp(calls[i].name, name)) return calls[i].number;
    }
    fprintf(stderr, "refuse-calls: does not know the system call %s\n", name);
    exit(64);
}

// Each refusal stands by itself: the number, perhaps the lower half of the first argument, the verdict.
static void refuse(char *call, unsigned verdict) {
    char *condition = strpbrk(call, "=:");
    int is_mask = condition && *condition == ':';
    unsigned value = 0;
    if (condition) {
        *condition = '\0';
        value = (unsigned)strtoul(condition + 1, NULL, 0);
    }
    load(offsetof(struct seccomp_data, nr));
    add(BPF_JMP | BPF_JEQ | BPF_K, number_of(call), 0, condition ? 3 : 1);
    if (condition) {
        load(offsetof(struct seccomp_data, args[0]));
        add(BPF_JMP | (is_mask ? BPF_JSET : BPF_JEQ) | BPF_K, value, 0, 1);
    }
    add(BPF_RET | BPF_K, verdict, 0, 0);
}

int main(int argc, char **argv) {
    int number = argc < 5                     ? 0
                 : !strcmp(argv[1], "EPERM")  ? EPERM
                 : !strcmp(argv[1], "ENOSYS") ? ENOSYS
                                              : 0;
    if (number == 0 || strcmp(argv[3], "--")) {
        fprintf(stderr, "refuse-calls EPERM|ENOSYS CALL[,CALL...] -- COMMAND ARGUMENT...\n");
        return 64;
    }
    load(offsetof(struct seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    for (char *call = strtok(argv[2], ","); call; call = strtok(NULL, ",")) {
        refuse(call, SECCOMP_RET_ERRNO | (unsigned)number);
    }
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    struct sock_fprog filter = {.len = length, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) {
        perror("refuse-calls: load the filter");
        return 126;
    }
    execvp(argv[4], argv + 4);
    perror(argv[4]);
    return 126;
}
