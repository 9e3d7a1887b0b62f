#include "unruly.h"

#include <string.h>

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

static void text_bomb(void) {
    offer();
    await(start);
    send_run(0, 1, 1 << 19, 0);
    hang();
}

// Batches without a run, each with a field that nobody knows.
static void empty_batches(void) {
    static const unsigned char frame[] = {0, 0, 0, 4, 0x22, 2, 0x78, 1};
    offer();
    send_without_end(frame, sizeof frame);
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

const struct way message_ways[] = {
    {"varint", varint}, {"wire-type", wire_type}, {"group", group}, {"lying-length", lying_length},
    {"nested-length", nested_length}, {"two-bodies", two_bodies}, {"unknown-body", unknown_body},
    {"no-text", no_text}, {"text-bomb", text_bomb}, {"empty-batches", empty_batches},
    {"pad-envelope", pad_envelope}, {"pad-batch", pad_batch}, {"pad-run", pad_run}, {"repeat-field", repeat_field},
    {"long-hello", long_hello},
    {NULL, NULL},
};
