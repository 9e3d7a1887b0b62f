#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t victim(void) { return offered_number("victim"); }

// Its memory

static int trace_victim(void) {
    if (ptrace(PTRACE_SEIZE, victim(), 0, 0) != 0) return -1;
    int status;
    if (ptrace(PTRACE_INTERRUPT, victim(), 0, 0) != 0 || waitpid(victim(), &status, __WALL) < 0) return -1;
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, victim(), (void *)offered_address("secret-address"), 0);
    ptrace(PTRACE_DETACH, victim(), 0, 0);
    return errno == 0 && memcmp(&word, secret, sizeof word) == 0 ? 0 : -1;
}

static int trace_me(void) { return (int)ptrace(PTRACE_TRACEME, 0, 0, 0); }

static int reads_memory(pid_t process, uint64_t address) {
    char bytes[64];
    struct iovec local = {bytes, strlen(secret)}, remote = {(void *)(uintptr_t)address, strlen(secret)};
    ssize_t count = process_vm_readv(process, &local, 1, &remote, 1, 0);
    return count < 0 ? -1 : is_secret(bytes, (size_t)count);
}

static int read_victim_memory(void) { return reads_memory(victim(), offered_address("secret-address")); }
static int read_agent_memory(void) { return reads_memory(offered_number("agent"), offered_address("agent-address")); }

static int write_victim_memory(void) {
    char out[8], in[8] = {0};
    snprintf(out, sizeof out, "%d", (int)getpid());
    void *there = (void *)(uintptr_t)offered_address("scratch-address");
    struct iovec local = {out, sizeof out}, remote = {there, sizeof out}, back = {in, sizeof in};
    if (process_vm_writev(victim(), &local, 1, &remote, 1, 0) != sizeof out) return -1;
    return process_vm_readv(victim(), &back, 1, &remote, 1, 0) == sizeof in && memcmp(in, out, sizeof in) == 0 ? 0 : -1;
}

static int open_in_proc(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)victim(), name);
    return open(path, O_RDONLY);
}

static int read_victim_memory_file(void) {
    int memory = open_in_proc("mem");
    char bytes[64];
    if (memory < 0) return -1;
    ssize_t count = pread(memory, bytes, strlen(secret), (off_t)offered_address("secret-address"));
    return count < 0 ? -1 : is_secret(bytes, (size_t)count);
}

static int victim_file_contains(const char *name, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)victim(), name);
    return file_contains(path, text);
}

static int read_victim_environment(void) { return victim_file_contains("environ", secret); }
static int read_victim_command(void) { return victim_file_contains("cmdline", "bystander"); }
static int read_victim_map(void) { return victim_file_contains("maps", "[stack]"); }

static int read_victim_list(void) {
    void *head = NULL;
    size_t length = 0;
    return syscall(SYS_get_robust_list, victim(), &head, &length) == 0 && head ? 0 : -1;
}

static int profile_victim(void) {
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .exclude_kernel = 1};
    return syscall(SYS_perf_event_open, &event, victim(), -1, -1, 0) >= 0 ? 0 : -1;
}

static int compare_with_victim(void) {
    return syscall(SYS_kcmp, getpid(), victim(), KCMP_FILE, 1, 1) >= 0 ? 0 : -1;
}

// Only asks where a page is, which is as much as moving it needs.
static int move_victim_pages(void) {
    void *page = (void *)(uintptr_t)(offered_address("secret-address") & ~4095ull);
    int status = -1;
    return syscall(SYS_move_pages, victim(), 1, &page, NULL, &status, 0) == 0 && status >= 0 ? 0 : -1;
}

// Its descriptors

static int open_victim_descriptor(void) {
    char name[32];
    snprintf(name, sizeof name, "fd/%d", offered_number("secret-descriptor"));
    return holds_secret(open_in_proc(name));
}

static int take_victim_descriptor(void) {
    int handle = (int)syscall(SYS_pidfd_open, victim(), 0);
    if (handle < 0) return -1;
    return holds_secret((int)syscall(SYS_pidfd_getfd, handle, offered_number("secret-descriptor"), 0));
}

// Its life. SIGUSR1 is one that the victim takes and outlives.

static int signal_victim(void) { return kill(victim(), SIGUSR1); }
static int signal_victim_thread(void) { return (int)syscall(SYS_tgkill, victim(), victim(), SIGUSR1); }
static int signal_victim_by_thread(void) { return (int)syscall(SYS_tkill, victim(), SIGUSR1); }
static int signal_victim_group(void) { return kill(-victim(), SIGUSR1); }

static int signal_victim_with_value(void) {
    siginfo_t value = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    return (int)syscall(SYS_rt_sigqueueinfo, victim(), SIGUSR1, &value);
}

static int signal_victim_by_descriptor(void) {
    int handle = (int)syscall(SYS_pidfd_open, victim(), 0);
    return handle < 0 ? -1 : (int)syscall(SYS_pidfd_send_signal, handle, SIGUSR1, NULL, 0);
}

// Signal 0: asks whether there is anyone to signal, but hurts nobody.
static int signal_everyone(void) { return kill(-1, 0); }
static int signal_agent(void) { return kill(offered_number("agent"), SIGCONT); }

static int limit_victim(void) {
    struct rlimit limit;
    if (prlimit(victim(), RLIMIT_NOFILE, NULL, &limit) != 0) return -1;
    return prlimit(victim(), RLIMIT_NOFILE, &limit, NULL);
}

static int raise_victim_in_memory_shortage(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)victim());
    int opened = open(path, O_WRONLY);
    return opened >= 0 && write(opened, "1000", 4) == 4 ? 0 : -1;
}

// Its place among others. Each sets what a bystander can live with.

static int slow_victim(void) { return setpriority(PRIO_PROCESS, (id_t)victim(), 5); }
static int slow_victim_disk(void) { return (int)syscall(SYS_ioprio_set, 1, victim(), 2 << 13 | 7); }

static int reschedule_victim(void) {
    struct sched_param parameters = {0};
    return sched_setscheduler(victim(), SCHED_BATCH, &parameters);
}

static int pin_victim(void) {
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0) return -1;
    return sched_setaffinity(victim(), sizeof cores, &cores);
}

// Learning of it

static int open_victim(void) { return syscall(SYS_pidfd_open, victim(), 0) >= 0 ? 0 : -1; }
static int see_victim_group(void) { return getpgid(victim()) >= 0 ? 0 : -1; }
static int see_victim_session(void) { return getsid(victim()) >= 0 ? 0 : -1; }

static int see_victim_priority(void) {
    errno = 0;
    return getpriority(PRIO_PROCESS, (id_t)victim()) != -1 || errno == 0 ? 0 : -1;
}

static int see_victim_scheduling(void) { return sched_getscheduler(victim()) >= 0 ? 0 : -1; }

static int see_victim_cores(void) {
    cpu_set_t cores;
    return sched_getaffinity(victim(), sizeof cores, &cores);
}

// The clock of a process is a number made of its own (clock_getcpuclockid(3)).
static int see_victim_clock(void) {
    struct timespec used;
    return (int)syscall(SYS_clock_gettime, (long)(int)(~(unsigned)victim() << 3 | 2), &used);
}

static int list_processes(void) {
    DIR *folder = opendir("/proc");
    if (!folder) return -1;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (atoi(entry->d_name) == victim()) return 0;
    }
    return refused(ENOENT);
}

// Outliving the agent

static int clear_parent_death(void) {
    int signal_number = -1;
    if (prctl(PR_SET_PDEATHSIG, 0) != 0 || prctl(PR_GET_PDEATHSIG, &signal_number) != 0) return -1;
    return signal_number == 0 ? 0 : -1;
}

static int adopt_orphans(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

const struct act process_acts[] = {
    {"trace-victim", "stops a program of the owner and reads its memory", trace_victim},
    {"trace-me", "makes the process that waits for it its tracer", trace_me},
    {"read-victim-memory", "reads the memory of a program of the owner", read_victim_memory},
    {"write-victim-memory", "changes the memory of a program of the owner", write_victim_memory},
    {"read-victim-memory-file", "reads its memory through /proc", read_victim_memory_file},
    {"read-victim-environment", "reads its environment, where keys often are", read_victim_environment},
    {"read-victim-command", "reads how it was started", read_victim_command},
    {"read-victim-map", "learns where its memory lies", read_victim_map},
    {"read-victim-list", "learns where its memory lies from its list of locks", read_victim_list},
    {"read-agent-memory", "reads the agent's memory, and with it what consumers say", read_agent_memory},
    {"profile-victim", "measures what a program of the owner does", profile_victim},
    {"compare-with-victim", "learns what a program of the owner shares with others", compare_with_victim},
    {"move-victim-pages", "learns and changes where its memory lies", move_victim_pages},
    {"open-victim-descriptor", "opens its files through /proc", open_victim_descriptor},
    {"take-victim-descriptor", "takes a descriptor out of it", take_victim_descriptor},
    {"signal-victim", "ends programs of the owner", signal_victim},
    {"signal-victim-thread", "ends them through one of their threads", signal_victim_thread},
    {"signal-victim-by-thread", "ends them through the older call for threads", signal_victim_by_thread},
    {"signal-victim-group", "ends a whole group of them", signal_victim_group},
    {"signal-victim-with-value", "ends them through the call that sends a value along", signal_victim_with_value},
    {"signal-victim-by-descriptor", "ends them through a descriptor", signal_victim_by_descriptor},
    {"signal-everyone", "ends every program of the owner at once", signal_everyone},
    {"signal-agent", "ends the agent", signal_agent},
    {"limit-victim", "takes memory or descriptors from a program of the owner", limit_victim},
    {"raise-victim-in-memory-shortage", "has the kernel end it first when memory is short",
     raise_victim_in_memory_shortage},
    {"slow-victim", "slows a program of the owner down", slow_victim},
    {"slow-victim-disk", "slows its disk down", slow_victim_disk},
    {"reschedule-victim", "lets others run before it", reschedule_victim},
    {"pin-victim", "squeezes it onto one core", pin_victim},
    {"open-victim", "holds on to a program of the owner by a descriptor", open_victim},
    {"see-victim-group", "learns that it runs, and its group", see_victim_group},
    {"see-victim-session", "learns that it runs, and its session", see_victim_session},
    {"see-victim-priority", "learns that it runs, and its priority", see_victim_priority},
    {"see-victim-scheduling", "learns that it runs, and how it is scheduled", see_victim_scheduling},
    {"see-victim-cores", "learns that it runs, and on which cores", see_victim_cores},
    {"see-victim-clock", "learns how long it has computed, and so when it does", see_victim_clock},
    {"list-processes", "learns which programs run", list_processes},
    {"clear-parent-death", "is not told of the agent's death", clear_parent_death},
    {"adopt-orphans", "keeps processes that it started from being found", adopt_orphans},
    {0, 0, 0},
};
