// System calls of a process that a filter puts to a supervisor (seccomp_unotify(2)). Each returns a negative value and
// sets errno on failure.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// clone(2) with CLONE_FILES: both have one table of descriptors, until one of them unshares or executes. Only for a
// process with one thread.
pid_t hearth_fork_sharing_descriptors(void);
// unshare(2), CLONE_FILES: a table of its own, with what the shared one has.
int hearth_unshare_descriptors(void);

// seccomp(2): loads the filter and returns the supervisor's descriptor, close-on-exec, the lowest number that is free.
int hearth_load_supervised_filter(const void *filter, size_t bytes);

struct hearth_supervised_call {
    uint64_t identifier;
    uint64_t instruction_pointer;
    uint64_t arguments[6];
    uint32_t number;
    uint32_t architecture;
    // The thread that makes it.
    pid_t thread;
};
// 1 with a call, 0 when the one that was waiting is gone.
int hearth_receive_supervised_call(int listener, struct hearth_supervised_call *call);
// Ends the wait of the call: `error` above 0 is its errno, 0 lets it pass. 0 also when the caller is gone.
int hearth_answer_supervised_call(int listener, uint64_t identifier, int error);
// process_vm_readv(2): copies up to `count` bytes of a thread's memory, and returns how many there were. They may change
// at any time, and nothing may depend on them.
ssize_t hearth_peek(pid_t thread, uint64_t address, void *bytes, size_t count);
// Ends the wait of a call that opens something: the caller gets a copy of `descriptor`, close-on-exec, as its result. Needs
// Linux 5.14 (SECCOMP_ADDFD_FLAG_SEND). 0 also when the caller is gone.
int hearth_answer_supervised_open(int listener, uint64_t identifier, int descriptor);

// PR_SET_SPECULATION_CTRL (kernel: Documentation/userspace-api/spec_ctrl.rst): how many controls a process may set for
// itself, and forbidding for good what they control.
int hearth_speculation_controls(void);
int hearth_forbid_speculation(void);

// close_range(2) with CLOSE_RANGE_CLOEXEC, to the highest.
int hearth_set_close_on_exec_from(unsigned first);
// PR_SET_TIMERSLACK: how late a wait of this thread may end, in nanoseconds.
int hearth_set_timer_slack(unsigned long nanoseconds);
// poll(2) with a time in nanoseconds, below 0 for ever.
struct pollfd;
int hearth_poll_many(struct pollfd *watched, unsigned count, int64_t nanoseconds);
