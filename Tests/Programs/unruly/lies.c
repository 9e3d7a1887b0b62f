#include "unruly.h"

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

const struct way lie_ways[] = {
    {"beyond-max-tokens", beyond_max_tokens}, {"long-prompt", long_prompt}, {"early-length", early_length},
    {"foreign-stop", foreign_stop}, {"long-context", long_context},
    {NULL, NULL},
};
