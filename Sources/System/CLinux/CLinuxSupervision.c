#define _GNU_SOURCE
#include "CLinuxSupervision.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum {
    hearth_close_range_unshare = 2,
    hearth_close_range_cloexec = 4,
    // From Linux 5.19: once received, only a deadly signal ends the wait.
    hearth_wait_killable = 1 << 5,
    // SECCOMP_ADDFD_FLAG_SEND.
    hearth_addfd_send = 1 << 1,
    // The kernel's structures may grow; ours are shorter than this.
    hearth_notification_bytes = 512,
};

pid_t hearth_fork_sharing_descriptors(void) { return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0); }

int hearth_unshare_descriptors(void) {
    // Not unshare(CLONE_FILES): where new namespaces are forbidden, often all of that call is.
    return (int)syscall(SYS_close_range, ~0u, ~0u, hearth_close_range_unshare);
}

int hearth_load_supervised_filter(const void *filter, size_t bytes) {
    struct sock_fprog program = {
        .len = (unsigned short)(bytes / sizeof(struct sock_filter)), .filter = (struct sock_filter *)filter};
    int flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | hearth_wait_killable, &program);
    if (listener < 0 && errno == EINVAL) {
        listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    }
    return listener;
}

int hearth_receive_supervised_call(int listener, struct hearth_supervised_call *call) {
    char bytes[hearth_notification_bytes] = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, bytes) != 0) return errno == ENOENT || errno == EINTR ? 0 : -1;
    struct seccomp_notif received;
    memcpy(&received, bytes, sizeof received);
    call->identifier = received.id;
    call->instruction_pointer = received.data.instruction_pointer;
    memcpy(call->arguments, received.data.args, sizeof call->arguments);
    call->number = (uint32_t)received.data.nr;
    call->architecture = received.data.arch;
    call->thread = (pid_t)received.pid;
    return 1;
}

int hearth_answer_supervised_call(int listener, uint64_t identifier, int error) {
    char bytes[hearth_notification_bytes] = {0};
    struct seccomp_notif_resp answer = {.id = identifier, .error = -error};
    if (error == 0) answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    memcpy(bytes, &answer, sizeof answer);
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, bytes) == 0 || errno == ENOENT ? 0 : -1;
}

ssize_t hearth_peek(pid_t thread, uint64_t address, void *bytes, size_t count) {
    struct iovec here = {.iov_base = bytes, .iov_len = count};
    struct iovec there = {.iov_base = (void *)(uintptr_t)address, .iov_len = count};
    return process_vm_readv(thread, &here, 1, &there, 1, 0);
}

int hearth_answer_supervised_open(int listener, uint64_t identifier, int descriptor) {
    struct seccomp_notif_addfd added = {
        .id = identifier, .flags = hearth_addfd_send, .srcfd = (uint32_t)descriptor, .newfd_flags = O_CLOEXEC};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &added) >= 0 || errno == ENOENT || errno == EINPROGRESS ? 0 : -1;
}

// PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH.
static const unsigned long speculations[] = {0, 1};

static int is_controllable(unsigned long speculation) {
    int state = prctl(PR_GET_SPECULATION_CTRL, speculation, 0, 0, 0);
    return state > 0 && (state & PR_SPEC_PRCTL) && !(state & PR_SPEC_FORCE_DISABLE);
}

int hearth_speculation_controls(void) {
    int count = 0;
    for (unsigned i = 0; i < sizeof speculations / sizeof *speculations; i++) count += is_controllable(speculations[i]);
    return count;
}

int hearth_forbid_speculation(void) {
    if (hearth_speculation_controls() == 0) {
        errno = ENOTSUP;
        return -1;
    }
    for (unsigned i = 0; i < sizeof speculations / sizeof *speculations; i++) {
        if (is_controllable(speculations[i]) &&
            prctl(PR_SET_SPECULATION_CTRL, speculations[i], PR_SPEC_FORCE_DISABLE, 0, 0) != 0) {
            return -1;
        }
    }
    return 0;
}

int hearth_set_close_on_exec_from(unsigned first) {
    return (int)syscall(SYS_close_range, first, ~0u, hearth_close_range_cloexec);
}

int hearth_set_timer_slack(unsigned long nanoseconds) { return prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0); }

int hearth_poll_many(struct pollfd *watched, unsigned count, int64_t nanoseconds) {
    struct timespec wait = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return ppoll(watched, count, nanoseconds < 0 ? NULL : &wait, NULL);
}
