#define _GNU_SOURCE
#include "CLinuxPoll.h"

#include <poll.h>
#include <stddef.h>
#include <time.h>

int hearth_poll(int descriptor, short events, int other, long long timeout_nanoseconds, int *other_ready) {
    struct pollfd watched[] = {{.fd = descriptor, .events = events}, {.fd = other, .events = POLLIN}};
    struct timespec timeout = {
        .tv_sec = timeout_nanoseconds / 1000000000,
        .tv_nsec = timeout_nanoseconds % 1000000000,
    };
    int count = ppoll(watched, 2, timeout_nanoseconds < 0 ? NULL : &timeout, NULL);
    *other_ready = count > 0 && watched[1].revents != 0;
    return count > 0 ? watched[0].revents : count;
}
