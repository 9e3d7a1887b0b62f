#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// Network

static int connect_ipv4(void) {
    int socket_descriptor = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)offered_number("tcp4"))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return socket_descriptor < 0 ? -1 : connect(socket_descriptor, (struct sockaddr *)&address, sizeof address);
}

static int connect_ipv6(void) {
    int socket_descriptor = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)offered_number("tcp6"))};
    address.sin6_addr = in6addr_loopback;
    return socket_descriptor < 0 ? -1 : connect(socket_descriptor, (struct sockaddr *)&address, sizeof address);
}

static int send_udp(void) {
    int socket_descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)offered_number("tcp4"))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket_descriptor < 0) return -1;
    return (int)sendto(socket_descriptor, "x", 1, 0, (struct sockaddr *)&address, sizeof address);
}

static int connect_unix(void) {
    int socket_descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", offer("unix"));
    return socket_descriptor < 0 ? -1 : connect(socket_descriptor, (struct sockaddr *)&address, sizeof address);
}

static int listen_tcp(void) {
    int socket_descriptor = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket_descriptor < 0 || bind(socket_descriptor, (struct sockaddr *)&address, sizeof address) != 0) return -1;
    return listen(socket_descriptor, 1);
}

static int open_netlink(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }

static int make_socket_pair(void) {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

// Files

static int open_home(void) { return open(offer("home"), O_RDONLY); }
static int open_passwd(void) { return open("/etc/passwd", O_RDONLY); }
static int open_own_process(void) { return open("/proc/self/status", O_RDONLY); }
static int open_null(void) { return open("/dev/null", O_RDWR); }
static int open_by_dots(void) { return open("../../../../../../etc/hostname", O_RDONLY); }

static int see_home(void) {
    struct stat status;
    return stat(offer("home"), &status);
}

static int see_home_by_empty_path_flag(void) {
    struct stat status;
    return fstatat(AT_FDCWD, offer("home"), &status, AT_EMPTY_PATH);
}

static int list_root(void) {
    DIR *folder = opendir("/");
    return folder ? 0 : -1;
}

static int create_file(void) {
    char path[512];
    snprintf(path, sizeof path, "%s/probe-%d", offer("folder"), (int)getpid());
    int made = open(path, O_CREAT | O_WRONLY, 0600);
    if (made >= 0) unlink(path);
    return made;
}

static int watch_folder(void) {
    int watch = inotify_init1(0);
    return watch < 0 ? -1 : inotify_add_watch(watch, "/", IN_CREATE);
}

static int change_folder(void) { return chdir("/etc"); }

// Processes

static int fork_child(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) waitpid(child, NULL, 0);
    return child;
}

static int clone3_child(void) {
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } arguments = {.exit_signal = SIGCHLD};
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) _exit(0);
    // Waited for, so that its end cannot stop a later act that asks to be traced.
    if (child > 0) waitpid(child, NULL, 0);
    return child;
}

static int execute_true(void) {
    char *arguments[] = {"true", NULL};
    execve("/bin/true", arguments, environ);
    return -1;
}

static int execute_again(void) {
    char *arguments[] = {"sandbox-probe", "exit", "0", NULL};
    for (int descriptor = 4; descriptor < 16; descriptor++) {
        syscall(SYS_execveat, descriptor, "", arguments, environ, AT_EMPTY_PATH);
    }
    // Outside there is the file itself.
    execve("/proc/self/exe", arguments, environ);
    return -1;
}

static int trace_victim(void) { return (int)ptrace(PTRACE_SEIZE, offered_number("victim"), 0, 0); }
static int trace_self(void) { return (int)ptrace(PTRACE_TRACEME, 0, 0, 0); }
static int signal_victim(void) { return kill(offered_number("victim"), SIGCONT); }
static int signal_launcher(void) { return kill(getppid(), SIGCONT); }
static int open_victim(void) { return (int)syscall(SYS_pidfd_open, offered_number("victim"), 0); }
static int see_victim_group(void) { return getpgid(offered_number("victim")); }

// The parent: outside it is this same program, so that the address means something there.
static int read_parent(void) {
    static char here, there;
    struct iovec local = {&here, 1}, remote = {&there, 1};
    return (int)process_vm_readv(getppid(), &local, 1, &remote, 1, 0);
}

static int limit_victim(void) {
    struct rlimit limit;
    return prlimit(offered_number("victim"), RLIMIT_NOFILE, NULL, &limit);
}

static int raise_priority_of_victim(void) { return setpriority(PRIO_PROCESS, (id_t)offered_number("victim"), 5); }

static int own_descriptor_signals(void) { return fcntl(0, F_SETOWN, getpid()); }

// The kernel's surface

static int new_user_namespace(void) { return unshare(CLONE_NEWUSER); }

static int mount_tmpfs(void) {
    unshare(CLONE_NEWUSER | CLONE_NEWNS);
    return mount("none", "/", "tmpfs", MS_REMOUNT | MS_BIND, NULL) == 0 ||
                   mount("none", offer("folder"), "tmpfs", 0, NULL) == 0
               ? 0
               : -1;
}

static int new_mount_api(void) {
    unshare(CLONE_NEWUSER | CLONE_NEWNS);
    return (int)syscall(SYS_open_tree, AT_FDCWD, "/", 1 | AT_RECURSIVE);
}

static int change_root(void) {
    unshare(CLONE_NEWUSER);
    return chroot("/");
}

static int load_bpf(void) {
    // BPF_MAP_CREATE of an array with four bytes.
    uint32_t attributes[32] = {2, 4, 4, 1};
    return (int)syscall(SYS_bpf, 0, attributes, sizeof attributes);
}

static int open_perf(void) {
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .exclude_kernel = 1};
    return (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
}

static int set_up_io_uring(void) {
    char parameters[120] = {0};
    return (int)syscall(SYS_io_uring_setup, 4, parameters);
}

static int open_userfaultfd(void) { return (int)syscall(SYS_userfaultfd, 1 /* user mode only */); }
static int add_key(void) { return (int)syscall(SYS_add_key, "user", "probe", "x", 1, -2); }
static int change_personality(void) { return personality(ADDR_NO_RANDOMIZE); }
static int make_memory_file(void) { return memfd_create("probe", 0); }
static int make_shared_segment(void) { return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600); }
static int duplicate(void) { return dup(1); }

static int make_message_queue(void) { return (int)syscall(SYS_msgget, IPC_PRIVATE, IPC_CREAT | 0600); }

// Memory

static int map_writable_code(void) {
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? -1 : 0;
}

static int make_code_of_data(void) {
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? -1 : mprotect(mapped, 4096, PROT_READ | PROT_EXEC);
}

static int map_shared_memory(void) {
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? -1 : 0;
}

static int lock_memory(void) { return mlockall(MCL_FUTURE); }

static int take_much_memory(void) {
    size_t size = (size_t)16 << 30;
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return mapped == MAP_FAILED ? -1 : 0;
}

// Inheritance

static int use_leaked_descriptor(void) { return fcntl(offered_number("descriptor"), F_GETFD); }

static int read_secret_variable(void) {
    errno = ENOENT;
    return getenv("HEARTH_PROBE_SECRET") ? 0 : -1;
}

const struct act acts[] = {
    {"connect-ipv4", connect_ipv4},
    {"connect-ipv6", connect_ipv6},
    {"send-udp", send_udp},
    {"connect-unix", connect_unix},
    {"listen-tcp", listen_tcp},
    {"open-netlink", open_netlink},
    {"make-socket-pair", make_socket_pair},
    {"open-home", open_home},
    {"open-passwd", open_passwd},
    {"open-own-process", open_own_process},
    {"open-null", open_null},
    {"open-by-dots", open_by_dots},
    {"see-home", see_home},
    {"see-home-by-empty-path-flag", see_home_by_empty_path_flag},
    {"list-root", list_root},
    {"create-file", create_file},
    {"watch-folder", watch_folder},
    {"change-folder", change_folder},
    {"fork", fork_child},
    {"clone3", clone3_child},
    {"execute-true", execute_true},
    {"execute-again", execute_again},
    {"trace-victim", trace_victim},
    {"trace-self", trace_self},
    {"signal-victim", signal_victim},
    {"signal-launcher", signal_launcher},
    {"open-victim", open_victim},
    {"see-victim-group", see_victim_group},
    {"read-parent", read_parent},
    {"limit-victim", limit_victim},
    {"raise-priority-of-victim", raise_priority_of_victim},
    {"own-descriptor-signals", own_descriptor_signals},
    {"new-user-namespace", new_user_namespace},
    {"mount-tmpfs", mount_tmpfs},
    {"new-mount-api", new_mount_api},
    {"change-root", change_root},
    {"load-bpf", load_bpf},
    {"open-perf", open_perf},
    {"set-up-io-uring", set_up_io_uring},
    {"open-userfaultfd", open_userfaultfd},
    {"add-key", add_key},
    {"change-personality", change_personality},
    {"make-memory-file", make_memory_file},
    {"make-shared-segment", make_shared_segment},
    {"make-message-queue", make_message_queue},
    {"duplicate", duplicate},
    {"map-writable-code", map_writable_code},
    {"make-code-of-data", make_code_of_data},
    {"map-shared-memory", map_shared_memory},
    {"lock-memory", lock_memory},
    {"take-much-memory", take_much_memory},
    {"use-leaked-descriptor", use_leaked_descriptor},
    {"read-secret-variable", read_secret_variable},
    {0, 0},
};
