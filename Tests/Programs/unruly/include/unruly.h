// The ways in which a backend breaks its contract, and what they share: one conversation, on the one socket.
#pragma once
#include <stddef.h>
#include <stdint.h>

// One way; most do not return.
struct way {
    const char *name;
    void (*run)(void);
};

// Each ends with a way without a name.
extern const struct way frame_ways[], message_ways[], order_ways[], lie_ways[], amount_ways[], process_ways[],
    clause_ways[];

// The socket, and the numbers of the messages in the envelopes of either side.
enum { agent = 3, payload_max = 2 << 20, context_tokens = 1 << 20 };
enum { hello = 1, load_progress = 2, loaded = 3, tokens = 4, token_count = 5, pong = 6, inspected = 8, embedded = 10 };
enum { welcome = 1, load = 3, start = 4, credit = 5, cancel = 6, count_tokens = 7, ping = 8, embed = 11 };

// ---- What is sent ----

struct bytes {
    size_t count;
    unsigned char at[payload_max];
};

// For a message, and for a run in it.
extern struct bytes body, run;

void put(struct bytes *to, const void *from, size_t count);
void put_varint(struct bytes *to, uint64_t value);
void put_number(struct bytes *to, unsigned field, uint64_t value);
void put_text(struct bytes *to, unsigned field, const void *from, size_t count);

// The agent closes its end when it has had enough; then there is nothing left to do but to wait for the end.
void send_raw(const void *from, size_t count);
void send_length(uint32_t length);
void send_frame(const void *payload, size_t count);
// The same frame again and again, many at once.
void send_without_end(const void *frame, size_t count);
void send_message(unsigned field, const struct bytes *body);

void send_hello(void);
void send_loaded(unsigned context);
// `count` tokens with this text, and after them the end with a reason (0: none).
void send_text(unsigned sequence, size_t count, const void *text, size_t text_bytes, unsigned reason);
void send_run(unsigned sequence, size_t count, size_t text_bytes, unsigned reason);

// ---- What is read ----

struct heard {
    unsigned field;
    // Fields 1 and 2 of the message, where they are numbers at its beginning.
    uint64_t first, second;
    // The length of the envelope, and its last two bytes where it is short.
    size_t count;
    unsigned char last[2];
};

struct heard hear(void);
void answer(struct heard asked);
// Stays alive until the agent says this.
struct heard await(unsigned field);

// Says everything up to `Load`, or up to `Loaded`.
void greet(void);
void offer(void);
void hang(void);
// Answers a ping, and finishes at once what is started.
void oblige(struct heard asked);
// Does nothing wrong any more.
void behave(void);
void wait_milliseconds(long milliseconds);
