#define _GNU_SOURCE
#include "unruly.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Bytes that were said to each of the sequences.
static uint64_t spoken[8];

// Computes without end for whoever asks, as many tokens at once as the credit lets it and `step` allows.
static void compute(size_t step, void (*say)(unsigned sequence, size_t count)) {
    greet();
    send_loaded(1 << 30);
    uint64_t left[8] = {0};
    int running[8] = {0};
    for (;;) {
        int busy = 0;
        for (unsigned sequence = 0; sequence < 8; sequence++) {
            size_t count = left[sequence] < step ? (size_t)left[sequence] : step;
            if (!running[sequence] || !count) continue;
            left[sequence] -= count;
            busy = 1;
            say(sequence, count);
        }
        struct pollfd watched = {.fd = agent, .events = POLLIN};
        if (poll(&watched, 1, busy ? 0 : -1) <= 0) continue;
        struct heard heard = hear();
        if (heard.field == ping) answer(heard);
        if (heard.first >= 8) continue;
        if (heard.field == start) {
            left[heard.first] = heard.second;
            running[heard.first] = 1;
            spoken[heard.first] = 0;
        }
        if (heard.field == credit) left[heard.first] += heard.second;
        if (heard.field == cancel && running[heard.first]) {
            running[heard.first] = 0;
            send_run((unsigned)heard.first, 0, 0, 3);
        }
    }
}

static void say_much(unsigned sequence, size_t count) { send_run(sequence, count, count * 1024, 0); }

// Within its credit and with all the text that a token may have, as fast as it goes, in a context that does not end.
static void flood(void) { compute(64, say_much); }

// A letter, a scalar, and beginnings and other parts of scalars: no text, in a circle.
static void say_noise(unsigned sequence, size_t count) {
    static const unsigned char noise[] = {0xff, 0xe2, 0x82, 'a',  0xf0, 0x9f, 0x98, 0xf0, 0x9f,
                                          0x98, 0x80, 0xed, 0xa0, 0x80, 0xc3, 0xa9, 0xc3};
    unsigned char said[8];
    // A byte a token, cut after one, two, up to seven of them, so that in time every cut is made.
    while (count > 0) {
        size_t most = 1 + spoken[sequence] % 7, next = count < most ? count : most;
        for (size_t i = 0; i < next; i++) said[i] = noise[spoken[sequence]++ % sizeof noise];
        send_text(sequence, next, said, next, 0);
        count -= next;
    }
}

static void mumble(void) { compute(64, say_noise); }

// Loads without end, and says so as often as it can.
static void flood_progress(void) {
    static const unsigned char frame[] = {0, 0, 0, 7, 0x12, 5, 0x0d, 0, 0, 0, 0x3f};
    greet();
    send_without_end(frame, sizeof frame);
}

// Does what it was asked for, if it was.
static void attend(void) {
    struct pollfd watched = {.fd = agent, .events = POLLIN};
    if (poll(&watched, 1, 0) > 0) oblige(hear());
}

// Does its work, and writes as much beside it as it can.
static void flood_log(void) {
    static char lines[16 << 10];
    memset(lines, 'x', sizeof lines);
    for (size_t i = 63; i < sizeof lines; i += 64) lines[i] = '\n';
    offer();
    for (;;) {
        attend();
        if (write(2, lines, sizeof lines) < 0) hang();
    }
}

// Writes line ends and nothing else, as many at once as it can, beside its work.
static void flood_lines(void) {
    static char ends[64 << 10];
    memset(ends, '\n', sizeof ends);
    offer();
    for (;;) {
        attend();
        if (write(2, ends, sizeof ends) < 0) hang();
    }
}

// Writes a line end at a time, as fast as it can, beside its work.
static void drip_log(void) {
    offer();
    for (unsigned round = 0;; round++) {
        if (write(2, "\n", 1) < 0) hang();
        if (round % 64 == 0) attend();
    }
}

// Does its work, and asks beside it for what its filter denies, each time in another way.
static void flood_denied(void) {
    offer();
    for (unsigned family = 100;; family++) {
        socket((int)(family & 0x7fffffff), SOCK_STREAM, 0);
        if (family % 16 == 0) attend();
    }
}

static void deaf(void) {
    offer();
    hang();
}

const struct way amount_ways[] = {
    {"flood", flood}, {"mumble", mumble}, {"flood-progress", flood_progress}, {"flood-log", flood_log},
    {"flood-lines", flood_lines}, {"drip-log", drip_log}, {"flood-denied", flood_denied}, {"deaf", deaf},
    {NULL, NULL},
};
