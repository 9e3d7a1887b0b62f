#include "unruly.h"

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

// Says that it gives up, and says it again.
static void faults(void) {
    static const unsigned char frame[] = {0, 0, 0, 6, 0x3a, 4, 8, 5, 18, 0};
    offer();
    send_without_end(frame, sizeof frame);
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

const struct way order_ways[] = {
    {"tokens-first", tokens_first}, {"loaded-first", loaded_first}, {"hello-twice", hello_twice},
    {"loaded-twice", loaded_twice}, {"finish-unknown", finish_unknown}, {"foreign", foreign},
    {"finish-twice", finish_twice}, {"beyond-credit", beyond_credit}, {"after-cancel", after_cancel},
    {"faults", faults}, {"pong-unasked", pong_unasked}, {"count-unasked", count_unasked},
    {NULL, NULL},
};
