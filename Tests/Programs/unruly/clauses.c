// Ways that break one clause of the contract each, beyond those that the other files have.
#define _GNU_SOURCE
#include "unruly.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void introduce(unsigned least, unsigned most, const char *name, const char *capability, unsigned times) {
    body.count = 0;
    put_number(&body, 1, least);
    put_number(&body, 2, most);
    put_text(&body, 3, name, strlen(name));
    put_text(&body, 4, "1", 1);
    while (times-- > 0) put_text(&body, 5, capability, strlen(capability));
    send_message(hello, &body);
}

// Answers pings, and does this with each message of that kind.
static void serve(unsigned field, void (*act)(struct heard asked)) {
    for (;;) {
        struct heard asked = hear();
        if (asked.field == ping) answer(asked);
        if (asked.field == field) act(asked);
    }
}

static void offer_and_serve(unsigned field, void (*act)(struct heard asked)) {
    offer();
    serve(field, act);
}

static void ignore(struct heard asked) { (void)asked; }

// ---- The handshake, and loading ----

static void mute(void) { hang(); }

static void backward_revisions(void) {
    introduce(2, 1, "unruly", "", 0);
    hang();
}

static void later_revision(void) {
    introduce(9, 9, "unruly", "", 0);
    hang();
}

static void bad_name(void) {
    introduce(1, 1, "un ruly", "", 0);
    hang();
}

static void twin_capabilities(void) {
    introduce(1, 1, "unruly", "chat", 2);
    hang();
}

// Ends when a message is longer than one without further fields.
static void trips_over_fields(void) {
    send_hello();
    if (await(welcome).count > 20) exit(3);
    await(load);
    send_loaded(context_tokens);
    serve(0, ignore);
}

static void mad_progress(void) {
    greet();
    body.count = 0;
    // A fraction of 2.
    put(&body, "\x0d\0\0\0\x40", 5);
    send_message(load_progress, &body);
    hang();
}

static void offer_vectors(unsigned dimensions) {
    body.count = 0;
    put_number(&body, 1, context_tokens);
    put_number(&body, 2, 8);
    put_number(&body, 11, dimensions);
    send_message(loaded, &body);
}

static void many_sequences(void) {
    greet();
    body.count = 0;
    put_number(&body, 1, context_tokens);
    put_number(&body, 2, 1 << 17);
    send_message(loaded, &body);
    hang();
}

static void wide_vectors(void) {
    greet();
    offer_vectors(65537);
    hang();
}

static void empty_inspection(void) {
    introduce(1, 2, "unruly", "inspect", 1);
    struct heard asked = await(load);
    // Load.inspect_only.
    if (asked.last[0] == 10 << 3 && asked.last[1] == 1) {
        body.count = 0;
        send_message(inspected, &body);
        hang();
    }
    send_loaded(context_tokens);
    serve(0, ignore);
}

static void endless_load(void) {
    greet();
    hang();
}

// ---- Sequences ----

// A token, and what else this field of a run has.
static void send_with(struct heard asked, unsigned field, const void *content, size_t count) {
    run.count = body.count = 0;
    put_number(&run, 1, asked.first);
    put_text(&run, 2, "a", 1);
    put_text(&run, field, content, count);
    put_text(&body, 1, run.at, run.count);
    send_message(tokens, &body);
}

// With credit for one token and more only.
static void reason(struct heard asked) { if (asked.second) send_with(asked, 5, "hm", 2); }
static void reasons(void) { offer_and_serve(start, reason); }
static void weigh(struct heard asked) { if (asked.second) send_with(asked, 6, "\x0a\x02\x08\x61", 4); }
static void unasked_logprobs(void) { offer_and_serve(start, weigh); }
static void call(struct heard asked) { if (asked.second) send_with(asked, 7, "\x0a\x02\x1a\x00", 4); }
static void unasked_calls(void) { offer_and_serve(start, call); }

static void never_finishes(void) { offer_and_serve(start, ignore); }

// Finishes at once, without a token.
static void send_end(struct heard asked, const void *finish, size_t count) {
    run.count = body.count = 0;
    put_number(&run, 1, asked.first);
    put_text(&run, 4, finish, count);
    put_text(&body, 1, run.at, run.count);
    send_message(tokens, &body);
}

// FINISH_REASON_STOP with a prompt of four tokens, all of them cached.
static void recall(struct heard asked) { send_end(asked, "\x08\x01\x20\x04\x28\x04", 6); }
static void shares_caches(void) {
    introduce(1, 2, "unruly", "", 0);
    await(load);
    send_loaded(context_tokens);
    serve(start, recall);
}

// Tells the letters from 'a' on, and with whatever credit the first sixteen, or those behind its first credit.
static unsigned told;
static void tell(unsigned count) {
    unsigned char letters[16] = {0};
    for (unsigned at = 0; at < count; at++) letters[at] = (unsigned char)('a' + told++);
    run.count = body.count = 0;
    // Their ids are their bytes.
    put_text(&run, 2, letters, count);
    put_text(&run, 3, letters, count);
    if (count == sizeof letters) put_text(&run, 4, "\x08\x01", 2);
    put_text(&body, 1, run.at, run.count);
    send_message(tokens, &body);
}
static void begins_anew(void) {
    introduce(1, 2, "unruly", "continue", 1);
    await(load);
    send_loaded(context_tokens);
    for (;;) {
        struct heard asked = hear();
        if (asked.field == ping) answer(asked);
        if (asked.field == start) told = 0;
        if (asked.field == start && asked.second) tell(asked.second < 16 ? (unsigned)asked.second : 16);
        if (asked.field == credit) tell(16);
    }
}

static void end_for_nothing(struct heard asked) { send_end(asked, "\x20\x04", 2); }
static void no_reason(void) { offer_and_serve(start, end_for_nothing); }
static void give_up(struct heard asked) { send_end(asked, "\x08\x03", 2); }
static void cancelled_unasked(void) { offer_and_serve(start, give_up); }
static void stop_at_string(struct heard asked) { send_end(asked, "\x08\x01\x30\x00", 4); }
static void foreign_string(void) { offer_and_serve(start, stop_at_string); }
static void recall_more(struct heard asked) { send_end(asked, "\x08\x01\x20\x01\x28\x02", 6); }
static void more_cached(void) { offer_and_serve(start, recall_more); }

static void complain(struct heard asked) {
    static struct bytes fault, finish;
    static const char words[1025] = "no";
    fault.count = finish.count = 0;
    put_number(&fault, 1, 5);
    put_text(&fault, 2, words, sizeof words);
    put_text(&finish, 2, fault.at, fault.count);
    send_end(asked, finish.at, finish.count);
}
static void long_fault(void) { offer_and_serve(start, complain); }

// Computes five steps more after it has answered the Ping behind a Cancel.
static void deaf_to_cancel(void) {
    offer();
    unsigned sequence = (unsigned)await(start).first;
    send_run(sequence, 1, 1, 0);
    await(cancel);
    answer(await(ping));
    for (int step = 0; step < 5; step++) send_run(sequence, 1, 1, 0);
    send_run(sequence, 0, 0, 3);
    serve(0, ignore);
}

// ---- Questions, and vectors ----

static void shrug(struct heard asked) {
    body.count = 0;
    put_number(&body, 1, asked.first);
    send_message(token_count, &body);
}
static void no_count(void) { offer_and_serve(count_tokens, shrug); }

// One number where four were asked for.
static void shorten(struct heard asked) {
    body.count = 0;
    put_number(&body, 1, asked.first);
    put_text(&body, 3, "\0\0\x80\x3f", 4);
    send_message(embedded, &body);
}
static void short_vectors(void) {
    introduce(1, 2, "unruly", "embed", 1);
    await(load);
    offer_vectors(4);
    serve(embed, shorten);
}

// ---- Signs of life, and the end ----

static void wrong_pong(void) {
    offer();
    for (;;) {
        struct heard asked = await(ping);
        asked.first++;
        answer(asked);
    }
}

static void steps_back(void) {
    offer();
    for (uint64_t steps = 1000;; steps--) {
        struct heard asked = await(ping);
        body.count = 0;
        put_number(&body, 1, asked.first);
        put_number(&body, 2, steps);
        send_message(pong, &body);
    }
}

// A token, and the end of the turn, and no step is counted.
static void compute(struct heard asked) { send_run((unsigned)asked.first, asked.second > 0, asked.second > 0, 1); }
static void standing_steps(void) { offer_and_serve(start, compute); }

static void outlives_socket(void) {
    offer();
    for (;;) {
        struct pollfd watched = {.fd = agent, .events = POLLIN};
        char next;
        poll(&watched, 1, -1);
        if (recv(agent, &next, 1, MSG_PEEK) <= 0) hang();
        oblige(hear());
    }
}

const struct way clause_ways[] = {
    {"mute", mute}, {"backward-revisions", backward_revisions}, {"later-revision", later_revision},
    {"bad-name", bad_name}, {"twin-capabilities", twin_capabilities}, {"trips-over-fields", trips_over_fields},
    {"mad-progress", mad_progress}, {"many-sequences", many_sequences}, {"wide-vectors", wide_vectors},
    {"empty-inspection", empty_inspection}, {"endless-load", endless_load}, {"reasons", reasons},
    {"unasked-logprobs", unasked_logprobs}, {"unasked-calls", unasked_calls}, {"never-finishes", never_finishes},
    {"shares-caches", shares_caches}, {"no-reason", no_reason}, {"cancelled-unasked", cancelled_unasked},
    {"foreign-string", foreign_string}, {"more-cached", more_cached}, {"long-fault", long_fault},
    {"deaf-to-cancel", deaf_to_cancel}, {"no-count", no_count}, {"short-vectors", short_vectors},
    {"wrong-pong", wrong_pong}, {"steps-back", steps_back}, {"standing-steps", standing_steps},
    {"outlives-socket", outlives_socket}, {"begins-anew", begins_anew},
    {NULL, NULL},
};
