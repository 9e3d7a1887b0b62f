// A hostile backend: tries what a sandbox must stop.
//
//   sandbox-probe list                       every act: name, group and what its success would mean, tab-separated
//   sandbox-probe act NAME KEY=VALUE...      tries one: exit status 0 when it succeeded, 1 with a line "NAME refused
//                                            ERRNO" when not, 2 when there is no such act; a signal stops it too
//   sandbox-probe bystander folder=FOLDER    the other process; prints the values that acts are given
//   sandbox-probe facts | exit N | signal N | abort | hang | spin PROCESSES | echo | threads N | read-mapping N |
//                 read-file PATH | write-file PATH            what a test of a launch wants to see
//
// An act that succeeds outside the sandbox and not inside proves something; one that is refused outside proves nothing
// on that machine. Run outside, no act harms the machine: bombs are small, and what is attacked is on offer for it.
#define _GNU_SOURCE
#include "probe.h"

#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *name;
    const struct act *acts;
} groups[] = {
    {"files", file_acts},         {"network", network_acts}, {"processes", process_acts},
    {"execution", execution_acts}, {"kernel", kernel_acts},   {"memory", memory_acts},
    {"inheritance", inheritance_acts},
};
#define GROUP_COUNT (sizeof groups / sizeof groups[0])

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
uint64_t offered_address(const char *key) { return strtoull(offer(key), NULL, 0); }

static int list(void) {
    for (size_t group = 0; group < GROUP_COUNT; group++) {
        for (const struct act *act = groups[group].acts; act->name; act++) {
            printf("%s\t%s\t%s\n", act->name, groups[group].name, act->meaning);
        }
    }
    return 0;
}

static int try(const char *name) {
    for (size_t group = 0; group < GROUP_COUNT; group++) {
        for (const struct act *act = groups[group].acts; act->name; act++) {
            if (strcmp(act->name, name) != 0) continue;
            errno = 0;
            if (act->run() == 0) return 0;
            const char *reason = errno ? strerrorname_np(errno) : "without a reason";
            char line[128];
            int length = snprintf(line, sizeof line, "%s refused %s\n", name, reason ? reason : "unknown");
            // Not stdio, which asks about its descriptor first.
            return write(1, line, (size_t)length) == length ? 1 : 3;
        }
    }
    return 2;
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

static int read_file(const char *path) {
    char bytes[64] = "";
    FILE *file = fopen(path, "r");
    if (!file || !fgets(bytes, sizeof bytes, file)) return 1;
    printf("read %s\n", bytes);
    return 0;
}

static int write_file(const char *path) {
    FILE *file = fopen(path, "w");
    return file && fputs("x", file) >= 0 && fclose(file) == 0 ? 0 : 1;
}

static int echo(void) {
    char bytes[256];
    ssize_t count;
    while ((count = read(3, bytes, sizeof bytes)) > 0) {
        if (write(3, bytes, (size_t)count) != count) return 1;
    }
    return 0;
}

static int hang(void) {
    if (write(1, "running\n", 8) != 8) return 1;
    for (;;) pause();
}

static void *compute(void *unused) {
    for (volatile unsigned long i = 0;; i++) {}
    return unused;
}

// Computes for ever, in two threads of each of so many processes.
static int spin(int processes) {
    pthread_t made;
    for (int i = 1; i < processes; i++) {
        pid_t child = fork();
        if (child < 0) return 1;
        if (child == 0) break;
    }
    if (pthread_create(&made, NULL, compute, NULL) != 0) return 1;
    if (write(1, "running\n", 8) != 8) return 1;
    compute(NULL);
    return 0;
}

// How long one system call takes that every policy allows and that does nothing: the best of twenty rounds.
static int calls(int count) {
    double best = 1e9;
    for (int round = 0; round < 20 && count > 0; round++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        for (int i = 0; i < count; i++) syscall(SYS_getuid);
        clock_gettime(CLOCK_MONOTONIC, &after);
        double nanoseconds = (after.tv_sec - before.tv_sec) * 1e9 + (after.tv_nsec - before.tv_nsec);
        if (nanoseconds / count < best) best = nanoseconds / count;
    }
    printf("%.1f\n", best);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    const char *word = argc > 2 ? argv[2] : "";
    int number = atoi(word);
    if (!strcmp(mode, "facts")) return facts();
    if (!strcmp(mode, "exit")) return number;
    if (!strcmp(mode, "signal")) return raise(number);
    if (!strcmp(mode, "abort")) abort();
    if (!strcmp(mode, "hang")) return hang();
    if (!strcmp(mode, "spin")) return spin(number);
    if (!strcmp(mode, "echo")) return echo();
    if (!strcmp(mode, "threads")) return threads(number);
    if (!strcmp(mode, "read-mapping")) return read_mapping(number);
    if (!strcmp(mode, "read-file")) return read_file(word);
    if (!strcmp(mode, "write-file")) return write_file(word);
    if (!strcmp(mode, "list")) return list();
    if (!strcmp(mode, "calls")) return calls(number);
    values = argv + 2;
    value_count = argc - 2;
    if (!strcmp(mode, "bystander")) return bystander();
    if (strcmp(mode, "act") != 0 || argc < 3) return 2;
    values++;
    value_count--;
    return try(word);
}
