// ppoll(2), which Swift's Glibc module leaves out because glibc declares it for _GNU_SOURCE only.
#pragma once

// One descriptor, or until `other` can be read (-1: none), which *other_ready tells. A timeout below 0 waits for ever.
// Returns the events that came, 0 for none in time, or -1 and errno.
int hearth_poll(int descriptor, short events, int other, long long timeout_nanoseconds, int *other_ready);
