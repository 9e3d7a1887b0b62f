#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef __x86_64__
#include <asm/ldt.h>
#endif

// Numbers and flags that older headers lack.
#define SYS_LSM_LIST_MODULES 461
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

// New namespaces

static int new_user_namespace(void) { return enter_namespaces(0); }
static int new_mount_namespace(void) { return enter_namespaces(CLONE_NEWNS); }
static int new_process_namespace(void) { return enter_namespaces(CLONE_NEWPID); }
static int new_network_namespace(void) { return enter_namespaces(CLONE_NEWNET); }
static int new_message_namespace(void) { return enter_namespaces(CLONE_NEWIPC); }
static int new_host_name_namespace(void) { return enter_namespaces(CLONE_NEWUTS); }
static int new_cgroup_namespace(void) { return enter_namespaces(CLONE_NEWCGROUP); }
static int new_time_namespace(void) { return enter_namespaces(CLONE_NEWTIME); }

static int becomes_powerful(void *unused) {
    (void)unused;
    return has_capabilities() == 0 ? CHILD_RAN : 1;
}

static char stack[64 << 10] __attribute__((aligned(16)));

static int clone_into_namespace(void) {
    return child_ran(clone(becomes_powerful, stack + sizeof stack, CLONE_NEWUSER | CLONE_NEWNET | SIGCHLD, NULL));
}

static int clone3_into_namespace(void) {
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } arguments = {.flags = CLONE_NEWUSER | CLONE_NEWNET, .exit_signal = SIGCHLD};
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) _exit(becomes_powerful(NULL));
    return child_ran(child);
}

static int enter_other_namespaces(void) {
    int other = (int)syscall(SYS_pidfd_open, offered_number("namespaced"), 0);
    return other < 0 || setns(other, CLONE_NEWUSER) != 0 ? -1 : has_capabilities();
}

// Mounts, in namespaces of its own, so that nobody else sees them

static int is_covered(void) {
    struct statfs status;
    return statfs(offer("folder"), &status) == 0 && status.f_type == TMPFS_MAGIC ? 0 : -1;
}

static int mount_file_system(void) {
    if (enter_namespaces(CLONE_NEWNS) != 0) return -1;
    return mount("none", offer("folder"), "tmpfs", 0, NULL) == 0 ? is_covered() : -1;
}

static int mount_by_newer_calls(void) {
    if (enter_namespaces(CLONE_NEWNS) != 0) return -1;
    int context = (int)syscall(SYS_fsopen, "tmpfs", 0);
    if (context < 0 || syscall(SYS_fsconfig, context, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) != 0) return -1;
    int made = (int)syscall(SYS_fsmount, context, 0, 0);
    if (made < 0) return -1;
    long moved = syscall(SYS_move_mount, made, "", AT_FDCWD, offer("folder"), 4 /* MOVE_MOUNT_F_EMPTY_PATH */);
    return moved == 0 ? is_covered() : -1;
}

// open_tree(2) with OPEN_TREE_CLONE.
static int clone_mounts(void) {
    if (enter_namespaces(CLONE_NEWNS) != 0) return -1;
    return (int)syscall(SYS_open_tree, AT_FDCWD, "/", 1 | AT_RECURSIVE) >= 0 ? 0 : -1;
}

static int change_mounts(void) {
    if (enter_namespaces(CLONE_NEWNS) != 0) return -1;
    uint64_t attributes[4] = {2 /* MOUNT_ATTR_NOSUID */, 0, 0, 0};
    return (int)syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attributes, sizeof attributes);
}

static int is_root_changed(void) {
    struct stat status;
    return stat("/secret", &status);
}

static int change_root(void) {
    if (enter_namespaces(0) != 0) return -1;
    return chroot(offer("folder")) == 0 ? is_root_changed() : -1;
}

static int pivot_root(void) {
    const char *folder = offer("folder");
    if (enter_namespaces(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -1;
    if (mount(folder, folder, NULL, MS_BIND, NULL) != 0 || chdir(folder) != 0) return -1;
    return syscall(SYS_pivot_root, ".", ".") == 0 ? is_root_changed() : -1;
}

// Parts of the kernel with a history of holes

static int load_bpf(void) {
    // BPF_MAP_CREATE of an array with four bytes.
    uint32_t attributes[32] = {2, 4, 4, 1};
    return syscall(SYS_bpf, 0, attributes, sizeof attributes) >= 0 ? 0 : -1;
}

static int count_events(void) {
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE,
                                    .size = sizeof event,
                                    .config = PERF_COUNT_SW_TASK_CLOCK,
                                    .exclude_kernel = 1,
                                    .exclude_hv = 1};
    int counter = (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
    uint64_t value;
    return counter >= 0 && read(counter, &value, sizeof value) == sizeof value ? 0 : -1;
}

static int set_up_ring(void) {
    struct io_uring_sqe nothing = {.opcode = IORING_OP_NOP};
    return through_ring(&nothing);
}

static int open_home_through_ring(void) {
    struct io_uring_sqe operation = {.opcode = IORING_OP_OPENAT,
                                     .fd = AT_FDCWD,
                                     .addr = (uint64_t)(uintptr_t)offer("secret"),
                                     .open_flags = O_RDONLY};
    return holds_secret(through_ring(&operation));
}

static int set_up_older_queue(void) {
    aio_context_t context = 0;
    return (int)syscall(SYS_io_setup, 1, &context);
}

static int catch_page_faults(void) {
    int faults = (int)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);
    struct uffdio_api version = {.api = UFFD_API};
    return faults < 0 ? -1 : ioctl(faults, UFFDIO_API, &version);
}

static int keeps_secret(long key) {
    char bytes[64];
    if (key < 0) return -1;
    long count = syscall(SYS_keyctl, KEYCTL_READ, key, bytes, sizeof bytes);
    return count < 0 ? -1 : is_secret(bytes, (size_t)count);
}

static int add_key(void) {
    return keeps_secret(
        syscall(SYS_add_key, "user", "probe", secret, strlen(secret), KEY_SPEC_PROCESS_KEYRING));
}

static int read_owner_key(void) {
    if (!*offer("key")) return refused(ENOKEY);
    return keeps_secret(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", offer("key"), 0));
}

static int change_personality(void) {
    if (personality(ADDR_NO_RANDOMIZE) < 0) return -1;
    return personality(0xffffffff) & ADDR_NO_RANDOMIZE ? 0 : -1;
}

static int make_memory_file(void) {
    int file = memfd_create("probe", 0);
    return file >= 0 && write(file, "x", 1) == 1 ? 0 : -1;
}

static int make_secret_memory(void) {
    int file = (int)syscall(SYS_memfd_secret, 0);
    return file < 0 ? -1 : ftruncate(file, 4096);
}

static int splice_memory(void) {
    int ends[2];
    char bytes[4096] = "spliced", back[4096];
    struct iovec whole = {bytes, sizeof bytes};
    if (pipe(ends) != 0 || vmsplice(ends[1], &whole, 1, SPLICE_F_GIFT) != sizeof bytes) return -1;
    return read(ends[0], back, sizeof back) == sizeof back && strcmp(back, "spliced") == 0 ? 0 : -1;
}

// The weights into a pipe: the way of Dirty Pipe.
static int splice_model(void) {
    int ends[2];
    loff_t start = 0;
    if (pipe(ends) != 0) return -1;
    return splice(offered_number("model-descriptor"), &start, ends[1], NULL, 64, 0) == 64 ? 0 : -1;
}

static int hold_own_calls(void) {
    struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog program = {1, &allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >= 0 ? 0 : -1;
}

static int read_kernel_log_by_call(void) {
    static char bytes[16 << 10];
    return klogctl(3 /* read all */, bytes, sizeof bytes) > 0 ? 0 : -1;
}

static int list_security_modules(void) {
    uint64_t modules[32];
    uint32_t bytes = sizeof modules;
    return syscall(SYS_LSM_LIST_MODULES, modules, &bytes, 0) >= 0 ? 0 : -1;
}

static int learn_host_name(void) {
    struct utsname names;
    return uname(&names) == 0 && strcmp(names.nodename, offer("host-name")) == 0 ? 0 : refused(ENODATA);
}

// Other system calls' numbers

static int call_by_32_bits(void) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory", "r8", "r9", "r10", "r11");
    return result > 0 ? 0 : refused((int)-result);
#else
    return refused(ENOSYS);
#endif
}

static int call_by_x32(void) {
#ifdef __x86_64__
    return syscall(0x40000000 | SYS_getppid) > 0 ? 0 : -1;
#else
    return refused(ENOSYS);
#endif
}

static int change_segments(void) {
#ifdef __x86_64__
    struct user_desc entry = {.base_addr = 0, .limit = 1, .seg_32bit = 1};
    char table[64];
    if (syscall(SYS_modify_ldt, 1, &entry, sizeof entry) != 0) return -1;
    return syscall(SYS_modify_ldt, 0, table, sizeof table) > 0 ? 0 : -1;
#else
    return refused(ENOSYS);
#endif
}

// The owner's terminal: input that is pushed into it is executed by the shell (TIOCSTI). Filters compare 64 bits of
// the request, the kernel 32.
static int pushes_input(unsigned long request) {
    int terminal = offered_number("terminal");
    if (terminal == 0) return refused(EBADF);
    signal(SIGHUP, SIG_IGN);
    if (ioctl(terminal, TIOCSCTTY, 0) != 0) return -1;
    int count = 0;
    char byte;
    int is_pushed = syscall(SYS_ioctl, terminal, request, "x") == 0 && ioctl(terminal, FIONREAD, &count) == 0 &&
                    count > 0 && read(terminal, &byte, 1) == 1;
    int reason = errno;
    ioctl(terminal, TIOCNOTTY);
    return is_pushed ? 0 : refused(reason);
}

static int push_input(void) { return pushes_input(TIOCSTI); }
static int push_input_with_high_bits(void) { return pushes_input(TIOCSTI | 1ul << 32); }

// Messages and shared memory between programs

static int make_shared_segment(void) {
    int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    if (segment < 0) return -1;
    char *attached = shmat(segment, NULL, 0);
    shmctl(segment, IPC_RMID, NULL);
    if (attached == (void *)-1) return -1;
    attached[0] = 1;
    return 0;
}

static int read_owner_segment(void) {
    if (!*offer("segment")) return refused(EINVAL);
    const char *attached = shmat(offered_number("segment"), NULL, SHM_RDONLY);
    return attached == (void *)-1 ? -1 : is_secret(attached, strlen(secret));
}

static int make_message_queue(void) {
    struct {
        long type;
        char text[8];
    } message = {1, "x"};
    int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    if (queue < 0) return -1;
    int is_used = msgsnd(queue, &message, 1, IPC_NOWAIT) == 0 && msgrcv(queue, &message, 8, 0, IPC_NOWAIT) == 1;
    msgctl(queue, IPC_RMID, NULL);
    return is_used ? 0 : -1;
}

static int make_semaphore(void) {
    int semaphore = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    return semaphore < 0 ? -1 : semctl(semaphore, 0, IPC_RMID);
}

static int make_posix_queue(void) {
    char name[64];
    snprintf(name, sizeof name, "/hearth-probe-act-%d", (int)getpid());
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 64};
    mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    if (queue < 0) return -1;
    int is_used = mq_send(queue, "x", 1, 0) == 0;
    mq_unlink(name);
    return is_used ? 0 : -1;
}

// Only looks how many messages wait: taking one would leave none for the next to try.
static int open_owner_queue(void) {
    if (!*offer("queue")) return refused(ENOENT);
    mqd_t queue = mq_open(offer("queue"), O_RDWR);
    struct mq_attr attributes;
    return queue >= 0 && mq_getattr(queue, &attributes) == 0 && attributes.mq_curmsgs == 1 ? 0 : -1;
}

const struct act kernel_acts[] = {
    {"new-user-namespace", "gains every capability in a namespace of its own", new_user_namespace},
    {"new-mount-namespace", "reaches the kernel's code for mounts", new_mount_namespace},
    {"new-process-namespace", "hides processes from the owner", new_process_namespace},
    {"new-network-namespace", "reaches the kernel's code for firewalls and devices", new_network_namespace},
    {"new-message-namespace", "takes memory that limits on messages do not count", new_message_namespace},
    {"new-host-name-namespace", "gives itself another host name", new_host_name_namespace},
    {"new-cgroup-namespace", "reaches the kernel's code for cgroups", new_cgroup_namespace},
    {"new-time-namespace", "gives itself another time", new_time_namespace},
    {"clone-into-namespace", "starts a process that has every capability", clone_into_namespace},
    {"clone3-into-namespace", "starts one through clone3, whose flags no filter sees", clone3_into_namespace},
    {"enter-other-namespaces", "gains the capabilities of a container of the owner", enter_other_namespaces},
    {"mount-file-system", "reaches the code of file systems", mount_file_system},
    {"mount-by-newer-calls", "reaches the code of file systems, through fsopen", mount_by_newer_calls},
    {"clone-mounts", "copies the machine's tree of mounts", clone_mounts},
    {"change-mounts", "changes what mounts forbid", change_mounts},
    {"change-root", "confuses programs about their root", change_root},
    {"pivot-root", "exchanges the root", pivot_root},
    {"load-bpf", "runs code in the kernel", load_bpf},
    {"count-events", "reaches the kernel's profiler", count_events},
    {"set-up-ring", "makes calls through io_uring, past every filter", set_up_ring},
    {"open-home-through-ring", "reads the owner's files through io_uring", open_home_through_ring},
    {"set-up-older-queue", "makes calls through the older queue for them", set_up_older_queue},
    {"catch-page-faults", "stops the kernel in the middle of a copy (userfaultfd)", catch_page_faults},
    {"add-key", "takes the kernel's memory for keys", add_key},
    {"read-owner-key", "reads the keys that the kernel keeps for the owner", read_owner_key},
    {"change-personality", "makes its memory's layout predictable", change_personality},
    {"make-memory-file", "makes files that no folder shows", make_memory_file},
    {"make-secret-memory", "makes memory that not even the kernel reads", make_secret_memory},
    {"splice-memory", "gives pages to the kernel to keep (vmsplice)", splice_memory},
    {"splice-model", "puts the weights' own pages into a pipe", splice_model},
    {"hold-own-calls", "answers system calls in the kernel's place", hold_own_calls},
    {"read-kernel-log-by-call", "reads the kernel's log", read_kernel_log_by_call},
    {"list-security-modules", "learns what guards the machine", list_security_modules},
    {"learn-host-name", "learns what its owner calls the machine", learn_host_name},
    {"call-by-32-bits", "makes calls by the numbers of another architecture", call_by_32_bits},
    {"call-by-x32", "makes calls by the numbers of x32", call_by_x32},
    {"change-segments", "changes the processor's segments", change_segments},
    {"push-input", "types into the owner's shell", push_input},
    {"push-input-with-high-bits", "types into it with a request that a filter takes for another",
     push_input_with_high_bits},
    {"make-shared-segment", "takes memory that outlives it", make_shared_segment},
    {"read-owner-segment", "reads memory that the owner's programs share", read_owner_segment},
    {"make-message-queue", "takes memory for messages", make_message_queue},
    {"make-semaphore", "takes semaphores", make_semaphore},
    {"make-posix-queue", "takes memory for messages, under a name", make_posix_queue},
    {"open-owner-queue", "takes the messages of the owner's programs", open_owner_queue},
    {0, 0, 0},
};
