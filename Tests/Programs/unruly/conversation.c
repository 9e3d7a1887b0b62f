// What every way says and hears.
#define _GNU_SOURCE
#include "unruly.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// ---- What is sent ----

struct bytes body, run;

void put(struct bytes *to, const void *from, size_t count) {
    if (count > sizeof to->at - to->count) exit(70);
    memcpy(to->at + to->count, from, count);
    to->count += count;
}

void put_varint(struct bytes *to, uint64_t value) {
    unsigned char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    put(to, digits, count);
}

void put_number(struct bytes *to, unsigned field, uint64_t value) {
    put_varint(to, field << 3);
    put_varint(to, value);
}

void put_text(struct bytes *to, unsigned field, const void *from, size_t count) {
    put_varint(to, field << 3 | 2);
    put_varint(to, count);
    put(to, from, count);
}

void send_raw(const void *from, size_t count) {
    const char *next = from;
    while (count > 0) {
        ssize_t written = write(agent, next, count);
        if (written < 0) {
            for (;;) pause();
        }
        next += written;
        count -= (size_t)written;
    }
}

void send_length(uint32_t length) {
    unsigned char bytes[4] = {(unsigned char)(length >> 24), (unsigned char)(length >> 16),
                              (unsigned char)(length >> 8), (unsigned char)length};
    send_raw(bytes, sizeof bytes);
}

void send_frame(const void *payload, size_t count) {
    send_length((uint32_t)count);
    send_raw(payload, count);
}

void send_without_end(const void *frame, size_t count) {
    static char said[64 << 10];
    size_t filled = 0;
    for (; filled + count <= sizeof said; filled += count) memcpy(said + filled, frame, count);
    for (;;) send_raw(said, filled);
}

void send_message(unsigned field, const struct bytes *body) {
    static struct bytes envelope;
    envelope.count = 0;
    put_text(&envelope, field, body->at, body->count);
    send_frame(envelope.at, envelope.count);
}

void send_hello(void) {
    body.count = 0;
    put_number(&body, 1, 1);
    put_number(&body, 2, 1);
    put_text(&body, 3, "unruly", 6);
    put_text(&body, 4, "1", 1);
    put_text(&body, 5, "count_tokens", 12);
    send_message(hello, &body);
}

void send_loaded(unsigned context) {
    body.count = 0;
    put_number(&body, 1, context);
    put_number(&body, 2, 8);
    send_message(loaded, &body);
}

void send_text(unsigned sequence, size_t count, const void *text, size_t text_bytes, unsigned reason) {
    static unsigned char ones[payload_max];
    memset(ones, 'a', count);
    run.count = 0;
    put_number(&run, 1, sequence);
    if (count) put_text(&run, 2, ones, count);
    if (text_bytes) put_text(&run, 3, text, text_bytes);
    unsigned char finish[2] = {1 << 3, (unsigned char)reason};
    if (reason) put_text(&run, 4, finish, sizeof finish);
    body.count = 0;
    put_text(&body, 1, run.at, run.count);
    send_message(tokens, &body);
}

void send_run(unsigned sequence, size_t count, size_t text_bytes, unsigned reason) {
    static unsigned char letters[payload_max];
    memset(letters, 'a', text_bytes);
    send_text(sequence, count, letters, text_bytes, reason);
}

// ---- What is read ----

enum { head_bytes = 64 };

static void read_raw(unsigned char *to, size_t count) {
    while (count > 0) {
        ssize_t got = read(agent, to, count);
        if (got <= 0) exit(0);
        to += got;
        count -= (size_t)got;
    }
}

static uint64_t take_varint(const unsigned char **next, const unsigned char *end) {
    uint64_t value = 0;
    for (unsigned shift = 0; *next < end && shift < 64; shift += 7) {
        unsigned char byte = *(*next)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) break;
    }
    return value;
}

struct heard hear(void) {
    unsigned char head[head_bytes], rest[4096], length[4];
    read_raw(length, sizeof length);
    size_t count = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3];
    size_t kept = count < sizeof head ? count : sizeof head;
    read_raw(head, kept);
    for (size_t left = count - kept; left > 0;) {
        size_t part = left < sizeof rest ? left : sizeof rest;
        read_raw(rest, part);
        left -= part;
    }
    const unsigned char *next = head, *end = head + kept;
    struct heard heard = {.field = (unsigned)(take_varint(&next, end) >> 3), .count = count};
    if (kept >= 2) memcpy(heard.last, head + kept - 2, 2);
    take_varint(&next, end);
    while (next < end && (*next == (1 << 3) || *next == (2 << 3))) {
        uint64_t *into = *next++ >> 3 == 1 ? &heard.first : &heard.second;
        *into = take_varint(&next, end);
    }
    return heard;
}

void answer(struct heard asked) {
    body.count = 0;
    put_number(&body, 1, asked.first);
    send_message(pong, &body);
}

struct heard await(unsigned field) {
    for (;;) {
        struct heard heard = hear();
        if (heard.field == field) return heard;
        if (heard.field == ping) answer(heard);
    }
}

void greet(void) {
    send_hello();
    await(load);
}

void offer(void) {
    greet();
    send_loaded(context_tokens);
}

void hang(void) {
    for (;;) pause();
}

void oblige(struct heard asked) {
    if (asked.field == ping) answer(asked);
    if (asked.field == start) send_run((unsigned)asked.first, 0, 0, 1);
}

void behave(void) {
    for (;;) oblige(hear());
}

void wait_milliseconds(long milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}
