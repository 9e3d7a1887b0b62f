// signalfd(2) and pthread_sigmask(3) for the signals that end a program, and setgroups(2) with an empty list.
#pragma once

// Blocks SIGINT, SIGTERM and SIGHUP in the calling thread, and ignores SIGPIPE in the process.
int hearth_block_termination(void);
// Blocks those of them in the calling thread that the process does not ignore: blocked, an ignored one would be pending.
int hearth_hold_termination(void);
// Blocks none of them in the calling thread.
int hearth_release_termination(void);
// A descriptor that becomes readable when one of them is pending that is blocked in the calling thread.
int hearth_signalfd(void);
// The number of a pending signal, 0 when there is none.
int hearth_signalfd_read(int descriptor);
// Gives up every supplementary group.
int hearth_clear_groups(void);
