#define _GNU_SOURCE
#include "CLinuxSignals.h"

#include <grp.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void termination(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

int hearth_block_termination(void) {
    sigset_t set;
    termination(&set);
    signal(SIGPIPE, SIG_IGN);
    return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int hearth_hold_termination(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&set, numbers[i]);
    }
    return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int hearth_release_termination(void) {
    sigset_t set;
    termination(&set);
    return pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int hearth_signalfd(void) {
    sigset_t set, blocked;
    termination(&set);
    if (pthread_sigmask(SIG_BLOCK, NULL, &blocked) != 0) return -1;
    sigandset(&set, &set, &blocked);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int hearth_signalfd_read(int descriptor) {
    struct signalfd_siginfo info;
    return read(descriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

int hearth_clear_groups(void) { return setgroups(0, NULL); }
