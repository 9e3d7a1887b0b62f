#define _GNU_SOURCE
#include "CLinuxPoll.h"

#include <poll.h>
#include <stddef.h>
#include <time.h>

int hearth_poll(int descriptor, short events, long long timeout_nanoseconds) {
    struct pollfd watched = {.fd = descriptor, .events = events};
    struct timespec timeout = {
        .tv_sec = timeout_nanoseconds / 1000000000,
        .tv_nsec = timeout_nanoseconds % 1000000000,
    };
    int count = ppoll(&watched, 1, timeout_nanoseconds < 0 ? NULL : &timeout, NULL);
    return count > 0 ? watched.revents : count;
}
