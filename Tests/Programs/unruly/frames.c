#include "unruly.h"

#include <stdlib.h>

static void huge(void) {
    static const char zeros[4096];
    send_length(0x7fffffff);
    for (;;) send_raw(zeros, sizeof zeros);
}

static void empty(void) {
    send_length(0);
    hang();
}

// A frame as long as is allowed, all but its last byte.
static void unfinished(void) {
    static const char zeros[(1 << 20) - 1];
    send_length(1 << 20);
    send_raw(zeros, sizeof zeros);
    hang();
}

static void cut(void) {
    send_length(100);
    send_raw("half", 4);
    exit(0);
}

static void cut_silent(void) {
    send_length(100);
    send_raw("half", 4);
    hang();
}

static void drip(void) {
    static const unsigned char said[] = {0,  0, 0,   17,  10,  15,  8,   1,   16, 1, 26,
                                         6, 'u', 'n', 'r', 'u', 'l', 'y', 34, 1, '1'};
    for (size_t i = 0; i < sizeof said; i++) {
        wait_milliseconds(1500);
        send_raw(said + i, 1);
    }
    hang();
}

static void garbage(void) {
    greet();
    send_raw("GET / HTTP/1.1\r\n\r\n", 18);
    send_loaded(context_tokens);
    hang();
}

const struct way frame_ways[] = {
    {"huge", huge}, {"empty", empty}, {"unfinished", unfinished}, {"cut", cut}, {"cut-silent", cut_silent},
    {"drip", drip}, {"garbage", garbage},
    {NULL, NULL},
};
