// For valgrind, which lacks some system calls of Linux that the agent makes before the first token: they are answered here, as
// far as it needs them. Preloaded; what is counted makes none of them.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

long syscall(long number, ...) {
    static long (*next)(long, ...);
    if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_list list;
    long a[6];
    va_start(list, number);
    for (int index = 0; index < 6; index++) a[index] = va_arg(list, long);
    va_end(list);
    // A descriptor that never becomes ready: nobody waits for the end of the process.
    if (number == SYS_pidfd_open) return eventfd(0, EFD_CLOEXEC);
    // `struct open_how` begins with the flags and the mode.
    if (number == SYS_openat2) {
        const uint64_t *how = (const uint64_t *)a[2];
        return openat((int)a[0], (const char *)a[1], (int)how[0], (mode_t)how[1]);
    }
    // Whether the kernel knows an action or a flag (seccomp(2)), which libseccomp asks: it does.
    if (number == SYS_seccomp) {
        if (a[0] == 2 /* SECCOMP_GET_ACTION_AVAIL */ || a[0] == 3 /* SECCOMP_GET_NOTIF_SIZES */) return 0;
        errno = a[0] == 1 /* SECCOMP_SET_MODE_FILTER */ ? EFAULT : EINVAL;
        return -1;
    }
    if (number == 444 /* landlock_create_ruleset */) {
        errno = ENOSYS;
        return -1;
    }
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
