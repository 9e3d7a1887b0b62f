// A hostile backend: tries what a sandbox must stop and says of each act whether it succeeded.
//
//   sandbox-probe outside KEY=VALUE...   every act in a child of its own: the positive control
//   sandbox-probe inside KEY=VALUE...    every act in this process, because it cannot fork
//   sandbox-probe facts                  what it sees of itself
//   sandbox-probe exit N | signal N | hang | int80 | echo | threads N | write-mapping N
//
// The values are what the machine outside has on offer: tcp4, tcp6 and udp (ports), unix (a path), home (a file),
// folder (a writable folder), victim (a process of the same user), descriptor (an open one).
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int value_count;
static char **values;

const char *offer(const char *key) {
    size_t length = strlen(key);
    for (int i = 0; i < value_count; i++) {
        if (strncmp(values[i], key, length) == 0 && values[i][length] == '=') return values[i] + length + 1;
    }
    return "";
}

int offered_number(const char *key) { return atoi(offer(key)); }

static void tell(const char *name, int result, int reason) {
    char line[128];
    int length = result >= 0 ? snprintf(line, sizeof line, "%s done\n", name)
                             : snprintf(line, sizeof line, "%s refused %d\n", name, reason);
    if (write(1, line, (size_t)length) != length) _exit(3);
}

static void try_inside(const struct act *act) {
    errno = 0;
    int result = act->run();
    tell(act->name, result, errno);
}

static void try_outside(const struct act *act) {
    pid_t child = fork();
    if (child == 0) {
        errno = 0;
        _exit(act->run() >= 0 ? 0 : errno ? errno : 255);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    tell(act->name, WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1,
         WIFEXITED(status) ? WEXITSTATUS(status) : 256);
}

static int facts(void) {
    printf("user %d group %d process %d parent %d session %d\n", (int)getuid(), (int)getgid(), (int)getpid(),
           (int)getppid(), (int)getsid(0));
    printf("descriptors");
    for (int i = 0; i < 1024; i++) {
        if (fcntl(i, F_GETFD) >= 0) printf(" %d", i);
    }
    printf("\nenvironment");
    for (char **entry = environ; *entry; entry++) printf(" %s", *entry);
    printf("\nfolder %s\n", access("/", R_OK) == 0 ? "/" : "-");
    return 0;
}

static void *idle(void *unused) {
    struct timespec moment = {.tv_nsec = 1000000};
    nanosleep(&moment, NULL);
    return unused;
}

static int threads(int count) {
    pthread_t made[256];
    int started = 0;
    while (started < count && started < 256 && pthread_create(&made[started], NULL, idle, NULL) == 0) started++;
    for (int i = 0; i < started; i++) pthread_join(made[i], NULL);
    printf("threads %d\n", started);
    return started == count ? 0 : 1;
}

// What a model's weights go through: a shared read-only mapping, read to its end.
static int read_mapping(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return 1;
    char *mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mapped == MAP_FAILED) return 2;
    printf("mapped %.*s\n", (int)status.st_size, mapped);
    char byte = 'x';
    return pwrite(descriptor, &byte, 1, 0) < 0 ? 0 : 3;
}

static int echo(void) {
    char bytes[256];
    ssize_t count;
    while ((count = read(3, bytes, sizeof bytes)) > 0) {
        if (write(3, bytes, (size_t)count) != count) return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(mode, "facts")) return facts();
    if (!strcmp(mode, "exit")) return number;
    if (!strcmp(mode, "signal")) return raise(number);
    if (!strcmp(mode, "abort")) abort();
    if (!strcmp(mode, "echo")) return echo();
    if (!strcmp(mode, "threads")) return threads(number);
    if (!strcmp(mode, "read-mapping")) return read_mapping(number);
    if (!strcmp(mode, "read-file")) {
        char bytes[64] = "";
        FILE *file = fopen(argv[2], "r");
        if (!file || !fgets(bytes, sizeof bytes, file)) return 1;
        printf("read %s\n", bytes);
        return 0;
    }
    if (!strcmp(mode, "write-file")) {
        FILE *file = fopen(argv[2], "w");
        return file && fputs("x", file) >= 0 && fclose(file) == 0 ? 0 : 1;
    }
    if (!strcmp(mode, "hang")) {
        if (write(1, "running\n", 8) != 8) return 1;
        for (;;) pause();
    }
#ifdef __x86_64__
    if (!strcmp(mode, "int80")) {
        // getpid by way of the 32-bit table: no filter for another architecture may let it pass.
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
        return result > 0 ? 0 : 1;
    }
#endif
    int inside = !strcmp(mode, "inside");
    if (!inside && strcmp(mode, "outside")) return 2;
    values = argv + 2;
    value_count = argc - 2;
    for (const struct act *act = acts; act->name; act++) (inside ? try_inside : try_outside)(act);
    return write(1, "end\n", 4) == 4 ? 0 : 1;
}
