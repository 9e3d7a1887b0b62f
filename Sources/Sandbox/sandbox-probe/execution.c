#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// New processes

static int fork_child(void) {
    pid_t child = fork();
    if (child == 0) _exit(CHILD_RAN);
    return child_ran(child);
}

static int fork_by_first_call(void) {
#ifdef SYS_fork
    pid_t child = (pid_t)syscall(SYS_fork);
    if (child == 0) _exit(CHILD_RAN);
    return child_ran(child);
#else
    return refused(ENOSYS);
#endif
}

static int vfork_child(void) {
    pid_t child = vfork();
    if (child == 0) _exit(CHILD_RAN);
    return child_ran(child);
}

static int ran(void *unused) {
    (void)unused;
    return CHILD_RAN;
}

static char stack[64 << 10] __attribute__((aligned(16)));

// Half a thread: memory is shared, and yet it is another process with limits of its own.
static int clone_sharing_memory(void) { return child_ran(clone(ran, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL)); }

static int clone3_child(void) {
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } arguments = {.exit_signal = SIGCHLD};
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) _exit(CHILD_RAN);
    return child_ran(child);
}

static int spawn_shell(void) {
    char *arguments[] = {"sh", "-c", "exit 42", NULL};
    pid_t child = -1;
    int reason = posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ);
    return reason ? refused(reason) : child_ran(child);
}

// Other programs. An act that succeeds does not come back: the program ends with status 0.

static int execute(void) {
    char *arguments[] = {"true", NULL};
    execve("/bin/true", arguments, environ);
    return -1;
}

static int execute_again(void) {
    char *arguments[] = {"sandbox-probe", "exit", "0", NULL};
    execve("/proc/self/exe", arguments, environ);
    return -1;
}

// The descriptor that the launcher executed, or any other that a program may be behind.
static int execute_by_descriptor(void) {
    char *arguments[] = {"sandbox-probe", "exit", "0", NULL};
    int reason = 0;
    for (int descriptor = 3; descriptor < 64; descriptor++) {
        syscall(SYS_execveat, descriptor, "", arguments, environ, AT_EMPTY_PATH);
        if (errno != EBADF) reason = errno;
    }
    int program = open("/bin/true", O_PATH);
    if (program >= 0) syscall(SYS_execveat, program, "", arguments, environ, AT_EMPTY_PATH);
    return refused(reason ? reason : errno);
}

static int execute_through_loader(void) {
    static const char *const loaders[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};
    char *arguments[] = {"ld.so", "/bin/true", NULL};
    for (size_t i = 0; i < 2; i++) execve(loaders[i], arguments, environ);
    return -1;
}

static int execute_memory(void) {
    int program = memfd_create("probe", 0);
    char *arguments[] = {"probe", NULL};
    if (program < 0 || write_program(program) != 0) return -1;
    syscall(SYS_execveat, program, "", arguments, environ, AT_EMPTY_PATH);
    return -1;
}

static int execute_memory_by_path(void) {
    int program = memfd_create("probe", 0);
    char path[64], *arguments[] = {"probe", NULL};
    if (program < 0 || write_program(program) != 0) return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", program);
    execve(path, arguments, environ);
    return -1;
}

// Writes a program to a path, and runs it in a child, so that the file can be taken away again.
static int runs_dropped(const char *path, const char *script) {
    int program = open(path, O_CREAT | O_EXCL | O_WRONLY, 0700);
    if (program < 0) return -1;
    int is_written = script ? write(program, script, strlen(script)) == (ssize_t)strlen(script)
                            : write_program(program) == 0;
    close(program);
    char *arguments[] = {"probe", NULL};
    pid_t child = -1;
    int status = -1, reason = is_written ? posix_spawn(&child, path, NULL, NULL, arguments, environ) : EIO;
    if (reason == 0) waitpid(child, &status, 0);
    unlink(path);
    return status == 0 ? 0 : refused(reason);
}

static int execute_dropped(void) { return runs_dropped(path_in_folder("program"), NULL); }
static int execute_script(void) { return runs_dropped(path_in_folder("script"), "#!/bin/true\n"); }

static int execute_dropped_in_temporary(void) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/hearth-probe-%d", (int)getpid());
    return runs_dropped(path, NULL);
}

static int execute_set_user_id(void) {
    static const char *const programs[] = {"/usr/bin/su", "/bin/su", "/usr/bin/mount", "/usr/bin/passwd"};
    char *arguments[] = {"su", "--version", NULL};
    // With it, the kernel would start the program but not change the user (PR_SET_NO_NEW_PRIVS).
    int forbidden = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    if (forbidden < 0) return -1;
    if (forbidden) return refused(EPERM);
    int silent = open("/dev/null", O_WRONLY);
    if (silent >= 0) dup2(silent, 1);
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        struct stat status;
        if (stat(programs[i], &status) == 0 && status.st_mode & S_ISUID) execve(programs[i], arguments, environ);
    }
    return -1;
}

// Other code in this process

static int map_library(void) {
    static const char *const libraries[] = {
        "/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/bin/true"};
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        int library = open(libraries[i], O_RDONLY);
        if (library < 0) continue;
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, library, 0) == MAP_FAILED ? -1 : 0;
    }
    return -1;
}

static int run_code_of_model(void) {
    return code_runs(
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, offered_number("model-descriptor"), 0));
}

static int run_code_of_dropped_file(void) {
    const char *path = path_in_folder("code");
    int dropped = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (dropped < 0) return -1;
    ssize_t count = write(dropped, code, code_bytes);
    unlink(path);
    if (count != (ssize_t)code_bytes) return -1;
    return code_runs(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, dropped, 0));
}

const struct act execution_acts[] = {
    {"fork", "starts processes, each with limits of its own", fork_child},
    {"fork-by-first-call", "starts processes through the oldest call for it", fork_by_first_call},
    {"vfork", "starts processes through vfork", vfork_child},
    {"clone-sharing-memory", "starts a process that looks like a thread", clone_sharing_memory},
    {"clone3", "starts processes through clone3, whose flags no filter sees", clone3_child},
    {"spawn-shell", "runs a shell", spawn_shell},
    {"execute", "runs the machine's programs", execute},
    {"execute-again", "starts itself anew, with other arguments", execute_again},
    {"execute-by-descriptor", "starts what a descriptor refers to", execute_by_descriptor},
    {"execute-through-loader", "runs a program through the dynamic loader", execute_through_loader},
    {"execute-memory", "runs a program that never was a file", execute_memory},
    {"execute-memory-by-path", "runs a program in memory by way of /proc", execute_memory_by_path},
    {"execute-dropped", "runs a program that it has written", execute_dropped},
    {"execute-dropped-in-temporary", "runs a program that it has written to /tmp", execute_dropped_in_temporary},
    {"execute-script", "runs a script that it has written", execute_script},
    {"execute-set-user-id", "becomes root through a set-user-id program", execute_set_user_id},
    {"map-library", "loads code from the machine's libraries", map_library},
    {"run-code-of-model", "runs code that came with the weights", run_code_of_model},
    {"run-code-of-dropped-file", "runs code that it has written to a file", run_code_of_dropped_file},
    {0, 0, 0},
};
