#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Twice what a sandbox of 64 MiB and one thread may have, and harmless outside.
#define BOMB_BYTES ((size_t)512 << 20)
#define STEP_BYTES ((size_t)16 << 20)
#define PAGE_BYTES 4096

// Code that nobody has hashed

static int map_writable_code(void) {
    void *place = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return -1;
    memcpy(place, code, code_bytes);
    return code_runs(place);
}

static void *code_as_data(void) {
    void *place = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place != MAP_FAILED) memcpy(place, code, code_bytes);
    return place;
}

static int make_code_of_data(void) {
    void *place = code_as_data();
    if (place == MAP_FAILED || mprotect(place, PAGE_BYTES, PROT_READ | PROT_EXEC) != 0) return -1;
    return code_runs(place);
}

static int make_code_by_key(void) {
    void *place = code_as_data();
    if (place == MAP_FAILED) return -1;
    if (syscall(SYS_pkey_mprotect, place, PAGE_BYTES, PROT_READ | PROT_EXEC, -1) != 0) return -1;
    return code_runs(place);
}

static int make_code_of_stack(void) {
    char page[2 * PAGE_BYTES];
    char *place = (char *)(((uintptr_t)page + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
    memcpy(place, code, code_bytes);
    if (mprotect(place, PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return -1;
    return code_runs(place);
}

static int make_code_by_personality(void) {
    if (syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */) < 0) return -1;
    return code_runs(code_as_data());
}

static int map_one_page_twice(void) {
    int file = memfd_create("probe", 0);
    if (file < 0 || ftruncate(file, PAGE_BYTES) != 0) return -1;
    void *data = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) return -1;
    memcpy(data, code, code_bytes);
    return code_runs(mmap(NULL, PAGE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0));
}

static int attach_shared_code(void) {
    int segment = shmget(IPC_PRIVATE, PAGE_BYTES, IPC_CREAT | 0700);
    if (segment < 0) return -1;
    void *data = shmat(segment, NULL, 0), *place = shmat(segment, NULL, SHM_EXEC | SHM_RDONLY);
    shmctl(segment, IPC_RMID, NULL);
    if (data == (void *)-1 || place == (void *)-1) return -1;
    memcpy(data, code, code_bytes);
    return code_runs(place);
}

// Memory past the limits

static void touch(volatile char *place, size_t bytes) {
    for (size_t offset = 0; offset < bytes; offset += PAGE_BYTES) place[offset] = 1;
}

static int takes_memory(int flags) {
    for (size_t taken = 0; taken < BOMB_BYTES; taken += STEP_BYTES) {
        void *place = mmap(NULL, STEP_BYTES, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED) return -1;
        touch(place, STEP_BYTES);
    }
    return 0;
}

static int memory_bomb(void) { return takes_memory(MAP_PRIVATE | MAP_NORESERVE); }
static int shared_memory_bomb(void) { return takes_memory(MAP_SHARED); }

static int map_shared_memory(void) {
    char *place = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return -1;
    touch(place, PAGE_BYTES);
    return 0;
}

static int heap_bomb(void) {
    for (size_t taken = 0; taken < BOMB_BYTES; taken += STEP_BYTES) {
        void *place = sbrk((intptr_t)STEP_BYTES);
        if (place == (void *)-1) return -1;
        touch(place, STEP_BYTES);
    }
    return 0;
}

static int stack_bomb(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0) return -1;
    limit.rlim_cur = limit.rlim_max;
    return limit.rlim_max >= BOMB_BYTES ? setrlimit(RLIMIT_STACK, &limit) : refused(ENOMEM);
}

static int memory_file_bomb(void) {
    int file = memfd_create("probe", 0);
    static char bytes[1 << 20];
    if (file < 0) return -1;
    for (size_t taken = 0; taken < BOMB_BYTES; taken += sizeof bytes) {
        if (write(file, bytes, sizeof bytes) != sizeof bytes) return -1;
    }
    return 0;
}

// Pages that are only read are all the same page of zeroes, which no limit on data counts; the tables that lead to it
// are memory all the same: one page of them for each 2 MiB.
static int page_table_bomb(void) {
    size_t bytes = (size_t)16 << 30;
    volatile char *place = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) return -1;
    madvise((void *)place, bytes, MADV_NOHUGEPAGE);
    char sum = 0;
    for (size_t offset = 0; offset < bytes; offset += (size_t)2 << 20) sum |= place[offset];
    return sum;
}

static int lock_memory(void) {
    void *place = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return place == MAP_FAILED ? -1 : mlock(place, PAGE_BYTES);
}

static int watch_page_cache(void) {
    unsigned char resident = 0;
    void *place = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, offered_number("model-descriptor"), 0);
    return place == MAP_FAILED ? -1 : mincore(place, PAGE_BYTES, &resident);
}

// Many of something

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *wait_at_gate(void *unused) {
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return unused;
}

static int thread_bomb(void) {
    enum { wanted = 400 };
    static pthread_t made[wanted];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    pthread_mutex_lock(&gate);
    int started = 0, reason = 0;
    while (started < wanted && (reason = pthread_create(&made[started], &small, wait_at_gate, NULL)) == 0) started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++) pthread_join(made[i], NULL);
    return started == wanted ? 0 : refused(reason);
}

static int process_bomb(void) {
    enum { wanted = 200 };
    int started = 0, reason = 0;
    // The children wait for the end of this pipe, which comes with this process at the latest.
    int gate_ends[2];
    if (pipe(gate_ends) != 0) return -1;
    while (started < wanted) {
        pid_t child = fork();
        if (child == 0) {
            char byte;
            close(gate_ends[1]);
            _exit(read(gate_ends[0], &byte, 1) == 0 ? 0 : 1);
        }
        if (child < 0) {
            reason = errno;
            break;
        }
        started++;
    }
    close(gate_ends[1]);
    for (int i = 0; i < started; i++) wait(NULL);
    return started == wanted ? 0 : refused(reason);
}

static int descriptor_bomb(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (int i = 0; i < 2000; i++) {
        if (eventfd(0, 0) < 0) return -1;
    }
    return 0;
}

static int pipe_bomb(void) {
    static char bytes[64 << 10];
    for (int i = 0; i < 200; i++) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK) != 0 || write(ends[1], bytes, sizeof bytes) < 4096) return -1;
    }
    return 0;
}

static int socket_bomb(void) {
    static char bytes[64 << 10];
    for (int i = 0; i < 200; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) return -1;
        if (write(ends[0], bytes, sizeof bytes) < 4096) return -1;
    }
    return 0;
}

// Disk and temporary folder

static int fills(const char *path) {
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (file < 0) return -1;
    unlink(path);
    static char bytes[1 << 20];
    for (int i = 0; i < 64; i++) {
        if (write(file, bytes, sizeof bytes) != sizeof bytes) return -1;
    }
    return 0;
}

static int makes_many(const char *base) {
    enum { wanted = 2000 };
    char path[600];
    int made = 0, reason = 0;
    while (made < wanted) {
        snprintf(path, sizeof path, "%s-%d", base, made);
        int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (file < 0) {
            reason = errno;
            break;
        }
        close(file);
        made++;
    }
    for (int i = 0; i < made; i++) {
        snprintf(path, sizeof path, "%s-%d", base, i);
        unlink(path);
    }
    return made == wanted ? 0 : refused(reason);
}

static const char *temporary(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/hearth-probe-%d", (int)getpid());
    return path;
}

static int fill_folder(void) { return fills(path_in_folder("full")); }
static int fill_temporary(void) { return fills(temporary()); }
static int make_many_files(void) { return makes_many(path_in_folder("many")); }
static int make_many_temporary_files(void) { return makes_many(temporary()); }

static int make_huge_file(void) {
    const char *path = path_in_folder("huge");
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (file < 0) return -1;
    unlink(path);
    return ftruncate(file, (off_t)1 << 40);
}

const struct act memory_acts[] = {
    {"map-writable-code", "runs code that it makes up as it goes", map_writable_code},
    {"make-code-of-data", "turns data into code", make_code_of_data},
    {"make-code-by-key", "turns data into code through memory protection keys", make_code_by_key},
    {"make-code-of-stack", "turns its stack into code", make_code_of_stack},
    {"make-code-by-personality", "has the kernel make everything readable code", make_code_by_personality},
    {"map-one-page-twice", "writes a page in one place and runs it in another", map_one_page_twice},
    {"attach-shared-code", "runs code from a shared segment", attach_shared_code},
    {"memory-bomb", "takes all of the machine's memory", memory_bomb},
    {"map-shared-memory", "takes memory that no limit on data counts", map_shared_memory},
    {"shared-memory-bomb", "takes all of the machine's memory in shared pages", shared_memory_bomb},
    {"heap-bomb", "takes all of the machine's memory as heap", heap_bomb},
    {"stack-bomb", "gives itself a stack without end", stack_bomb},
    {"memory-file-bomb", "takes all of the machine's memory in files without a name", memory_file_bomb},
    {"page-table-bomb", "takes the machine's memory for the tables of memory that it only reads", page_table_bomb},
    {"lock-memory", "keeps the machine from using its memory otherwise", lock_memory},
    {"watch-page-cache", "learns which parts of a file other programs read", watch_page_cache},
    {"thread-bomb", "starts threads without end", thread_bomb},
    {"process-bomb", "starts processes without end", process_bomb},
    {"descriptor-bomb", "opens descriptors without end", descriptor_bomb},
    {"pipe-bomb", "takes the kernel's memory in pipes", pipe_bomb},
    {"socket-bomb", "takes the kernel's memory in sockets", socket_bomb},
    {"fill-folder", "fills the disk", fill_folder},
    {"fill-temporary", "fills the temporary folder, which is often memory", fill_temporary},
    {"make-many-files", "uses up the disk's inodes", make_many_files},
    {"make-many-temporary-files", "uses up the inodes of the temporary folder", make_many_temporary_files},
    {"make-huge-file", "makes a file without end", make_huge_file},
    {0, 0, 0},
};
