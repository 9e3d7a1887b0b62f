// A backend that breaks its contract in one way, which its file name tells: copied into a backends folder as
// `unruly-huge`, it announces a frame of two gigabytes. Without a way it names them all.
//
// It needs no file, no library and no system call that the policy `strict` denies, but for those that it is there to try.
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { agent = 3, payload_max = 2 << 20, head_bytes = 64 };
enum { hello = 1, load_progress = 2, loaded = 3, tokens = 4, token_count = 5, pong = 6 };
enum { load = 3, start = 4, credit = 5, cancel = 6, ping = 8 };

// ---- What is sent ----

struct bytes {
    size_t count;
    unsigned char at[payload_max];
};

static void put(struct bytes *to, const void *from, size_t count) {
    if (count > sizeof to->at - to->count) exit(70);
    memcpy(to->at + to->count, from, count);
    to->count += count;
}

static void put_varint(struct bytes *to, uint64_t value) {
    unsigned char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    put(to, digits, count);
}

static void put_number(struct bytes *to, unsigned field, uint64_t value) {
    put_varint(to, field << 3);
    put_varint(to, value);
}

static void put_text(struct bytes *to, unsigned field, const void *from, size_t count) {
    put_varint(to, field << 3 | 2);
    put_varint(to, count);
    put(to, from, count);
}

// The agent closes its end when it has had enough; then there is nothing left to do but to wait for the end.
static void send_raw(const void *from, size_t count) {
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

static void send_length(uint32_t length) {
    unsigned char bytes[4] = {(unsigned char)(length >> 24), (unsigned char)(length >> 16),
                              (unsigned char)(length >> 8), (unsigned char)length};
    send_raw(bytes, sizeof bytes);
}

static void send_frame(const void *payload, size_t count) {
    send_length((uint32_t)count);
    send_raw(payload, count);
}

static void send_message(unsigned field, const struct bytes *body) {
    static struct bytes envelope;
    envelope.count = 0;
    put_text(&envelope, field, body->at, body->count);
    send_frame(envelope.at, envelope.count);
}

static struct bytes body, run;

static void send_hello(void) {
    body.count = 0;
    put_number(&body, 1, 1);
    put_number(&body, 2, 1);
    put_text(&body, 3, "unruly", 6);
    put_text(&body, 4, "1", 1);
    put_text(&body, 5, "count_tokens", 12);
    send_message(hello, &body);
}

enum { context_tokens = 1 << 20 };

static void send_loaded(unsigned context) {
    body.count = 0;
    put_number(&body, 1, context);
    put_number(&body, 2, 8);
    send_message(loaded, &body);
}

// `count` tokens with this text, and after them the end with a reason (0: none).
static void send_text(unsigned sequence, size_t count, const void *text, size_t text_bytes, unsigned reason) {
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

static void send_run(unsigned sequence, size_t count, size_t text_bytes, unsigned reason) {
    static unsigned char letters[payload_max];
    memset(letters, 'a', text_bytes);
    send_text(sequence, count, letters, text_bytes, reason);
}

// Bytes that were said to each of the sequences.
static uint64_t spoken[8];

// ---- What is read ----

struct heard {
    unsigned field;
    // Fields 1 and 2 of the message, where they are numbers at its beginning.
    uint64_t first, second;
};

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

static struct heard hear(void) {
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
    struct heard heard = {.field = (unsigned)(take_varint(&next, end) >> 3)};
    take_varint(&next, end);
    while (next < end && (*next == (1 << 3) || *next == (2 << 3))) {
        uint64_t *into = *next++ >> 3 == 1 ? &heard.first : &heard.second;
        *into = take_varint(&next, end);
    }
    return heard;
}

static void answer(struct heard asked) {
    body.count = 0;
    put_number(&body, 1, asked.first);
    send_message(pong, &body);
}

// Stays alive until the agent says this.
static struct heard await(unsigned field) {
    for (;;) {
        struct heard heard = hear();
        if (heard.field == field) return heard;
        if (heard.field == ping) answer(heard);
    }
}

static void greet(void) {
    send_hello();
    await(load);
}

static void offer(void) {
    greet();
    send_loaded(context_tokens);
}

static void hang(void) {
    for (;;) pause();
}

// Does nothing wrong any more: finishes at once what is started.
static void behave(void) {
    for (;;) {
        struct heard heard = hear();
        if (heard.field == ping) answer(heard);
        if (heard.field == start) send_run((unsigned)heard.first, 0, 0, 1);
    }
}

static void wait_milliseconds(long milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

// ---- The ways ----

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
    static const unsigned char said[] = {0, 0, 0, 17, 10, 15, 8, 1, 16, 1, 26, 6, 'u', 'n', 'r', 'u', 'l', 'y', 34, 1, '1'};
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

// One frame that is whole, whatever is in it.
static void send_bad(const void *payload, size_t count) {
    greet();
    send_frame(payload, count);
    hang();
}

static void varint(void) { send_bad("\x1a\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14); }
static void wire_type(void) { send_bad("\x1f\x01", 2); }
static void group(void) {
    static char nested[1 << 20];
    memset(nested, 0x0b, sizeof nested);
    send_bad(nested, sizeof nested);
}
static void lying_length(void) { send_bad("\x1a\x64\x08\x01", 4); }
static void nested_length(void) {
    offer();
    await(start);
    // A TokenBatch of six bytes whose run says that it has forty.
    send_frame("\x22\x06\x0a\x28\x08\x00\x12\x01", 8);
    hang();
}
static void two_bodies(void) { send_bad("\x1a\x04\x08\x01\x10\x01\x1a\x04\x08\x01\x10\x01", 12); }
static void unknown_body(void) { send_bad("\x7a\x01\x00", 3); }
static void no_text(void) {
    send_frame("\x0a\x08\x08\x01\x10\x01\x1a\x02\xc3\x28", 10);
    hang();
}

static void tokens_first(void) {
    send_run(0, 1, 1, 0);
    hang();
}

static void loaded_first(void) {
    send_loaded(context_tokens);
    hang();
}

static void hello_twice(void) {
    greet();
    send_hello();
    hang();
}

static void loaded_twice(void) {
    offer();
    send_loaded(context_tokens);
    hang();
}

static void finish_unknown(void) {
    offer();
    send_run(5, 0, 0, 1);
    hang();
}

static void foreign(void) {
    offer();
    send_run(1u << 31, 1, 1, 0);
    hang();
}

static void finish_twice(void) {
    offer();
    await(start);
    send_run(0, 1, 1, 1);
    send_run(0, 0, 0, 1);
    hang();
}

static void beyond_credit(void) {
    offer();
    struct heard began = await(start);
    send_run((unsigned)began.first, (size_t)began.second + 1, 1, 0);
    hang();
}

static void after_cancel(void) {
    offer();
    unsigned sequence = (unsigned)await(start).first;
    send_run(sequence, 1, 1, 0);
    await(cancel);
    send_run(sequence, 0, 0, 3);
    send_run(sequence, 1, 1, 0);
    hang();
}

static void text_bomb(void) {
    offer();
    await(start);
    send_run(0, 1, 1 << 19, 0);
    hang();
}

// Batches without a run, each with a field that nobody knows.
static void empty_batches(void) {
    static char said[64 << 10];
    static const unsigned char frame[] = {0, 0, 0, 4, 0x22, 2, 0x78, 1};
    size_t count = 0;
    for (; count + sizeof frame <= sizeof said; count += sizeof frame) memcpy(said + count, frame, sizeof frame);
    offer();
    for (;;) send_raw(said, count);
}

// One token, and a mebibyte of fields that nobody knows: beside the body, in the batch, in the run.
static void send_padded(unsigned where) {
    static const unsigned char honest_run[] = {8, 0, 18, 1, 'a', 26, 1, 'a'};
    static struct bytes padding, envelope;
    padding.count = envelope.count = run.count = body.count = 0;
    while (padding.count < (1 << 20) - 64) put_number(&padding, 15, 1);
    put(&run, honest_run, sizeof honest_run);
    if (where == 2) put(&run, padding.at, padding.count);
    put_text(&body, 1, run.at, run.count);
    if (where == 1) put(&body, padding.at, padding.count);
    put_text(&envelope, tokens, body.at, body.count);
    if (where == 0) put(&envelope, padding.at, padding.count);
    offer();
    await(start);
    send_frame(envelope.at, envelope.count);
    hang();
}

static void pad_envelope(void) { send_padded(0); }
static void pad_batch(void) { send_padded(1); }
static void pad_run(void) { send_padded(2); }

// The number of its sequence again and again, which protobuf itself would take.
static void repeat_field(void) {
    offer();
    await(start);
    run.count = body.count = 0;
    while (run.count < 1 << 16) put_number(&run, 1, 0);
    put_text(&run, 2, "a", 1);
    put_text(&body, 1, run.at, run.count);
    send_message(tokens, &body);
    hang();
}

// A Hello of as many names as a frame holds.
static void long_hello(void) {
    body.count = 0;
    while (body.count < (1 << 20) - 64) put_text(&body, 5, "x", 1);
    send_message(hello, &body);
    hang();
}

// Says that it gives up, and says it again.
static void faults(void) {
    static char said[64 << 10];
    static const unsigned char frame[] = {0, 0, 0, 6, 0x3a, 4, 8, 5, 18, 0};
    size_t count = 0;
    for (; count + sizeof frame <= sizeof said; count += sizeof frame) memcpy(said + count, frame, sizeof frame);
    offer();
    for (;;) send_raw(said, count);
}

// Its first message after `start`: as many tokens as it has credit for, whatever was asked for.
static void beyond_max_tokens(void) {
    offer();
    struct heard began = await(start);
    send_run((unsigned)began.first, (size_t)began.second, 1, 0);
    hang();
}

static void send_finish(const char *finish, size_t count) {
    offer();
    await(start);
    run.count = body.count = 0;
    put_number(&run, 1, 0);
    put_text(&run, 2, "a", 1);
    put_text(&run, 4, finish, count);
    put_text(&body, 1, run.at, run.count);
    send_message(tokens, &body);
    hang();
}

// FINISH_REASON_STOP with a prompt of 1,048,576 tokens, as many as the context has, and a token more.
static void long_prompt(void) { send_finish("\x08\x01\x20\x80\x80\x40", 6); }
// FINISH_REASON_LENGTH after one token.
static void early_length(void) { send_finish("\x08\x02", 2); }
// A stop token that nobody asked for.
static void foreign_stop(void) { send_finish("\x08\x01\x18\x07", 4); }

// A context that is longer than was asked for.
static void long_context(void) {
    greet();
    send_loaded(101);
    hang();
}

static void pong_unasked(void) {
    offer();
    body.count = 0;
    put_number(&body, 1, 1);
    for (;;) send_message(pong, &body);
}

static void count_unasked(void) {
    offer();
    body.count = 0;
    put_number(&body, 1, 1);
    put_number(&body, 2, 1);
    send_message(token_count, &body);
    hang();
}

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
    static char said[64 << 10];
    static const unsigned char frame[] = {0, 0, 0, 7, 0x12, 5, 0x0d, 0, 0, 0, 0x3f};
    size_t count = 0;
    for (; count + sizeof frame <= sizeof said; count += sizeof frame) memcpy(said + count, frame, sizeof frame);
    greet();
    for (;;) send_raw(said, count);
}

// Does its work, and writes as much beside it as it can.
static void flood_log(void) {
    static char lines[16 << 10];
    memset(lines, 'x', sizeof lines);
    for (size_t i = 63; i < sizeof lines; i += 64) lines[i] = '\n';
    offer();
    for (;;) {
        struct pollfd watched = {.fd = agent, .events = POLLIN};
        if (poll(&watched, 1, 0) > 0) {
            struct heard heard = hear();
            if (heard.field == ping) answer(heard);
            if (heard.field == start) send_run((unsigned)heard.first, 0, 0, 1);
        }
        if (write(2, lines, sizeof lines) < 0) hang();
    }
}

// Does its work, and asks beside it for what its filter denies, each time in another way.
static void flood_denied(void) {
    offer();
    for (unsigned family = 100;; family++) {
        socket((int)(family & 0x7fffffff), SOCK_STREAM, 0);
        struct pollfd watched = {.fd = agent, .events = POLLIN};
        if (family % 16 || poll(&watched, 1, 0) <= 0) continue;
        struct heard heard = hear();
        if (heard.field == ping) answer(heard);
        if (heard.field == start) send_run((unsigned)heard.first, 0, 0, 1);
    }
}

static void deaf(void) {
    offer();
    hang();
}

static void stubborn(void) {
    for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
    offer();
    behave();
}

static void stopped(void) {
    offer();
    raise(SIGSTOP);
    behave();
}

static void stopped_first(void) {
    raise(SIGSTOP);
    offer();
    behave();
}

static void daemonise(void) {
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    if (child > 0) exit(0);
    setsid();
    signal(SIGHUP, SIG_IGN);
    offer();
    behave();
}

static void vanish(void) { exit(0); }

// Ends as a launcher that cannot do its work ends, and says so on whatever descriptor it finds.
static void plays_launcher(void) {
    static const char line[] = "hearth-sandbox: user-namespace: unshare: Operation not permitted\n";
    // LaunchReport.failed: the record's length, its kind, final, before the backend ran, and the reason.
    static const unsigned char record[] = {26, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0,
                                           'f', 'o', 'r', 'g', 'e', 'd'};
    if (write(2, line, sizeof line - 1) < 0) exit(1);
    for (int number = agent + 1; number < 64; number++) {
        if (write(number, record, sizeof record) == sizeof record) dprintf(2, "told on descriptor %d\n", number);
    }
    exit(125);
}

// Takes memory until there is no more, and dies as a C++ program does.
static void hoard(void) {
    for (;;) {
        char *more = malloc(1 << 20);
        if (!more) break;
        memset(more, 1, 1 << 20);
    }
    static const char line[] = "terminate called after throwing an instance of 'std::bad_alloc'\n";
    if (write(2, line, sizeof line - 1) < 0) exit(1);
    abort();
}

// Reads its weights again and again through a mapping, as an engine does that does not copy them.
static void maps_weights(void) {
    enum { weights = 9, bytes = 1 << 16 };
    offer();
    volatile const char *mapped = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, weights, 0);
    if (mapped == MAP_FAILED) exit(71);
    struct heard asked = await(start);
    (void)mapped[bytes - 1];
    send_run((unsigned)asked.first, 1, 1, 0);
    for (;;) {
        (void)mapped[bytes - 1];
        wait_milliseconds(1);
    }
}

// Writes a line end at a time, as fast as it can, beside its work.
static void drip_log(void) {
    offer();
    for (unsigned round = 0;; round++) {
        if (write(2, "\n", 1) < 0) hang();
        struct pollfd watched = {.fd = agent, .events = POLLIN};
        if (round % 64 || poll(&watched, 1, 0) <= 0) continue;
        struct heard heard = hear();
        if (heard.field == ping) answer(heard);
        if (heard.field == start) send_run((unsigned)heard.first, 0, 0, 1);
    }
}

// Writes line ends and nothing else, as many at once as it can, beside its work.
static void flood_lines(void) {
    static char ends[64 << 10];
    memset(ends, '\n', sizeof ends);
    offer();
    for (;;) {
        struct pollfd watched = {.fd = agent, .events = POLLIN};
        if (poll(&watched, 1, 0) > 0) {
            struct heard heard = hear();
            if (heard.field == ping) answer(heard);
            if (heard.field == start) send_run((unsigned)heard.first, 0, 0, 1);
        }
        if (write(2, ends, sizeof ends) < 0) hang();
    }
}

static void closes(void) {
    offer();
    close(agent);
    hang();
}

// Sends what an agent that asked for control messages would have to close.
static void smuggle(void) {
    char control[CMSG_SPACE(2 * sizeof(int))] = {0};
    char nothing[1] = {0};
    struct iovec vector = {.iov_base = nothing, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    int descriptors[2] = {agent, 0};
    memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
    // The beginning of the length of Hello, byte by byte, so that the frames stay whole.
    size_t sent = 0;
    while (sent < 3 && sendmsg(agent, &message, 0) == 1) sent++;
    if (sent == 0) {
        perror("sendmsg");
        offer();
    } else {
        static const unsigned char rest[] = {17, 10, 15, 8, 1, 16, 1, 26, 6, 'u', 'n', 'r', 'u', 'l', 'y', 34, 1, '1'};
        fprintf(stderr, "sent descriptors\n");
        send_raw(rest, sizeof rest);
        await(load);
        send_loaded(context_tokens);
    }
    behave();
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    // Frames.
    {"huge", huge}, {"empty", empty}, {"unfinished", unfinished}, {"cut", cut}, {"cut-silent", cut_silent},
    {"drip", drip}, {"garbage", garbage},
    // Messages.
    {"varint", varint}, {"wire-type", wire_type}, {"group", group}, {"lying-length", lying_length},
    {"nested-length", nested_length}, {"two-bodies", two_bodies}, {"unknown-body", unknown_body}, {"no-text", no_text},
    // Order.
    {"tokens-first", tokens_first}, {"loaded-first", loaded_first}, {"hello-twice", hello_twice},
    {"loaded-twice", loaded_twice}, {"finish-unknown", finish_unknown}, {"foreign", foreign},
    {"finish-twice", finish_twice}, {"beyond-credit", beyond_credit}, {"after-cancel", after_cancel},
    {"text-bomb", text_bomb}, {"empty-batches", empty_batches}, {"pad-envelope", pad_envelope},
    {"pad-batch", pad_batch}, {"pad-run", pad_run}, {"repeat-field", repeat_field}, {"long-hello", long_hello},
    {"faults", faults},
    // Lies.
    {"beyond-max-tokens", beyond_max_tokens}, {"long-prompt", long_prompt}, {"early-length", early_length},
    {"foreign-stop", foreign_stop}, {"long-context", long_context},
    // Unasked.
    {"pong-unasked", pong_unasked}, {"count-unasked", count_unasked},
    // Too much, and too little.
    {"flood", flood}, {"mumble", mumble}, {"flood-progress", flood_progress}, {"flood-log", flood_log},
    {"flood-lines", flood_lines}, {"drip-log", drip_log}, {"flood-denied", flood_denied}, {"deaf", deaf},
    // The process.
    {"stubborn", stubborn}, {"stopped", stopped}, {"stopped-first", stopped_first}, {"daemonise", daemonise},
    {"vanish", vanish}, {"plays-launcher", plays_launcher}, {"hoard", hoard}, {"maps-weights", maps_weights}, {"closes", closes},
    {"smuggle", smuggle}, {"behave", NULL},
};

int main(int argc, char **argv) {
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
    name = name ? name + 1 : argc > 0 ? argv[0] : "";
    const char *wanted = strchr(name, '-');
    // A write to a socket that the agent has closed is to fail, not to kill.
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; wanted && i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(ways[i].name, wanted + 1)) continue;
        if (ways[i].run) ways[i].run();
        offer();
        behave();
    }
    fprintf(stderr, "%s: name me unruly-WAY, with one of these ways:", name);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) fprintf(stderr, " %s", ways[i].name);
    fprintf(stderr, "\n");
    return 64;
}
