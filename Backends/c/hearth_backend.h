/* A backend of Hearth in C11: this header is the whole kit, and needs a C library with POSIX and nothing else.

   In one file of yours:

       #define HEARTH_BACKEND_IMPLEMENTATION
       #include "hearth_backend.h"

   You write a hearth_engine, and main returns hearth_run(&engine). The kit speaks the contract
   (Docs/backend-contract.md; Protos/hearth/backend/v1/backend.proto), revisions 1 and 2, on descriptor 3: frames, credit,
   pings, cancels, batches, the end. Everything runs on the one thread that calls hearth_run. Link statically, and the
   policy `strict` holds the program; standard output and standard error are its log. */
#ifndef HEARTH_BACKEND_H
#define HEARTH_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes, not ended by a zero. */
typedef struct {
    const char *bytes;
    size_t count;
} hearth_text;

/* Why something failed, as `Fault.Code`; consumers see the status in brackets. */
typedef enum {
    HEARTH_INVALID_ARGUMENT = 1, /* The request cannot be served at all (INVALID_ARGUMENT). */
    HEARTH_CONTEXT_OVERFLOW = 2, /* The prompt does not fit; say both numbers (INVALID_ARGUMENT). */
    HEARTH_UNSUPPORTED = 3,      /* The backend cannot do this (UNIMPLEMENTED). */
    HEARTH_OVERLOADED = 4,       /* There is no room now (RESOURCE_EXHAUSTED). */
    HEARTH_INTERNAL = 5,         /* The backend failed (INTERNAL). */
    HEARTH_BAD_MODEL = 6         /* The weights cannot be loaded. */
} hearth_code;

typedef struct {
    hearth_code code;
    char message[1024];
} hearth_fault;

/* Fills in a fault with a sentence that names the thing and the remedy, which is cut at 1,023 bytes; returns -1, for a
   method to return. */
int hearth_fail(hearth_fault *fault, hearth_code code, const char *format, ...);

/* The model to load, as `Load`. Valid during the call. */
typedef struct {
    hearth_text model;
    int weights; /* A descriptor, open for reading; -1: the model has no weights. */
    uint64_t weights_bytes;
    uint32_t context_tokens; /* 0: as the model has it. */
    uint32_t max_sequences;
    uint32_t threads;
    const hearth_text *options; /* Name, value, name, value... from the manifest. */
    size_t option_count;        /* Of names. */
} hearth_load_request;

/* What was loaded: both at least 1, and at most what the request names. */
typedef struct {
    uint32_t context_tokens; /* Of prompt and completion together, for each sequence. */
    uint32_t max_sequences;
} hearth_model;

typedef enum { HEARTH_SYSTEM = 1, HEARTH_USER = 2, HEARTH_ASSISTANT = 3, HEARTH_TOOL = 4 } hearth_role;

typedef struct {
    hearth_role role;
    hearth_text content;
} hearth_message;

typedef enum { HEARTH_PROMPT_TEXT, HEARTH_PROMPT_MESSAGES, HEARTH_PROMPT_TOKENS } hearth_prompt_kind;

/* A consumer's request, as far as this kit reads `hearth.v1.GenerateRequest`. Valid during the call. */
typedef struct {
    hearth_prompt_kind kind;
    hearth_text text;               /* HEARTH_PROMPT_TEXT */
    const hearth_message *messages; /* HEARTH_PROMPT_MESSAGES; only with the capability "chat" */
    size_t message_count;
    const uint32_t *tokens; /* HEARTH_PROMPT_TOKENS */
    size_t token_count;
    /* `Sampling`: a field that was not sent is NAN, top_k UINT32_MAX; the seed is one at random then. */
    float temperature, top_p, min_p, frequency_penalty, presence_penalty, repetition_penalty;
    uint32_t top_k;
    uint64_t seed;
    /* `Stopping`; the kit sees to the longest length and the stop strings. The engine compares what it draws with the stop
       tokens, and calls `hearth_finish_at` in place of `hearth_emit`. */
    uint32_t max_tokens; /* UINT32_MAX: none was named. */
    bool ignore_end_of_turn;
    const uint32_t *stop_tokens;
    size_t stop_token_count;
    /* State that was computed in one scope is used in no other, and none of an empty one is used again. */
    hearth_text cache_scope;
    /* The tokens of this completion that an earlier process computed and sent; only with the capability "continue". The
       engine goes on behind them as that process would have, and emits none of them. The kit counts them. */
    const uint32_t *generated_tokens;
    size_t generated_token_count;
} hearth_request;

/* The tokens of a prompt, template included, and how many of them did not have to be computed. */
typedef struct {
    uint32_t total, cached;
} hearth_prompt;

/* One decode step. */
typedef struct hearth_step hearth_step;

/* The methods get `self`. Those that return an int return 0, or hearth_fail(...) with the reason. */
typedef struct {
    const char *name;    /* 1 to 64 letters, digits, '.', '_' and '-'. */
    const char *version; /* At most 64 bytes. */
    /* Capabilities as `Hello` names them, ended by NULL; NULL: none. Name none that you do not keep. */
    const char *const *capabilities;
    void *self;

    /* Loads the model, once. Failure ends the process. */
    int (*load)(void *self, const hearth_load_request *request, hearth_model *model, hearth_fault *fault);
    /* Begins a sequence, whose number is free and below max_sequences; says how long its prompt is. Failure refuses the
       request, and the number stays free. */
    int (*start)(void *self, uint32_t sequence, const hearth_request *request, hearth_prompt *prompt,
                 hearth_fault *fault);
    /* The sequence has ended, for whatever reason; its number is free. */
    void (*end)(void *self, uint32_t sequence);
    /* Computes for each sequence of the step. Returns 0, or after how many milliseconds the next step makes sense;
       failure ends the process. */
    int (*step)(void *self, hearth_step *step, hearth_fault *fault);
    /* Counts the tokens of a prompt: the kit names the capability "count_tokens" where this is not NULL. */
    int (*count)(void *self, const hearth_request *request, uint32_t *tokens, hearth_fault *fault);
} hearth_engine;

/* Serves until the agent ends the conversation. Returns the exit status: 0, or 1 after it has said why on standard
   error. */
int hearth_run(const hearth_engine *engine);

/* The sequences that have credit: hearth_step_sequence(step, 0) to hearth_step_sequence(step, count - 1). Nothing is
   computed for others. */
uint32_t hearth_step_count(const hearth_step *step);
uint32_t hearth_step_sequence(const hearth_step *step, uint32_t place);
/* How many tokens may be emitted for a sequence in this step; 0 once it has ended. */
uint32_t hearth_step_credit(const hearth_step *step, uint32_t sequence);

/* Sends one token, with at most 1,024 bytes of UTF-8, which may begin or end inside a scalar. The kit ends the sequence at
   its longest length and at the end of the context. Returns whether the sequence goes on; a token without credit is not
   sent. */
bool hearth_emit(hearth_step *step, uint32_t sequence, uint32_t token, const char *text, size_t count);
/* Ends a sequence: the model has ended its turn. */
void hearth_finish(hearth_step *step, uint32_t sequence);
/* Ends a sequence at one of the stop tokens of its request. */
void hearth_finish_at(hearth_step *step, uint32_t sequence, uint32_t stop_token);
/* Ends a sequence that failed. */
void hearth_refuse(hearth_step *step, uint32_t sequence, const hearth_fault *fault);
/* Call it between the parts of a long step, each of which is progress: it answers pings and takes cancels. A sequence that
   was cancelled has no credit any more; new ones begin after the step. */
void hearth_attend(hearth_step *step);

#ifdef __cplusplus
}
#endif
#endif

#ifdef HEARTH_BACKEND_IMPLEMENTATION

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEARTH__SOCKET = 3, HEARTH__RECEIVED_MAX = (8 << 20) + 4, HEARTH__SEQUENCES_MAX = 4096, HEARTH__TEXT_MAX = 1024 };

/* --- Bytes that grow. Without memory the process ends: the agent starts it again, and says why to its owner. */

typedef struct {
    uint8_t *bytes;
    size_t count, room;
} hearth__buffer;

static void hearth__die(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static uint8_t *hearth__grow(hearth__buffer *buffer, size_t more) {
    if (buffer->room - buffer->count < more) {
        size_t room = buffer->room ? buffer->room : 256;
        while (room - buffer->count < more) room *= 2;
        buffer->bytes = realloc(buffer->bytes, room);
        if (!buffer->bytes) hearth__die("no memory is left");
        buffer->room = room;
    }
    return buffer->bytes + buffer->count;
}

static void hearth__append(hearth__buffer *buffer, const void *bytes, size_t count) {
    if (!count) return;
    memcpy(hearth__grow(buffer, count), bytes, count);
    buffer->count += count;
}

static void hearth__varint(hearth__buffer *buffer, uint64_t value) {
    uint8_t bytes[10];
    size_t count = 0;
    do {
        bytes[count++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    hearth__append(buffer, bytes, count);
}

/* Fields whose value is the type's default are left out, as proto3 does it. */
static void hearth__number(hearth__buffer *buffer, uint32_t field, uint64_t value) {
    if (!value) return;
    hearth__varint(buffer, field << 3);
    hearth__varint(buffer, value);
}

static void hearth__bytes(hearth__buffer *buffer, uint32_t field, const void *bytes, size_t count) {
    hearth__varint(buffer, (field << 3) | 2);
    hearth__varint(buffer, count);
    hearth__append(buffer, bytes, count);
}

/* --- Reading protobuf. What the agent sends is well formed; what is not ends the process. */

typedef struct {
    const uint8_t *bytes, *end;
} hearth__reader;

typedef struct {
    uint32_t number, type;
    uint64_t value; /* Of a varint or of fixed bytes. */
    hearth__reader content;
} hearth__field;

static uint64_t hearth__read_varint(hearth__reader *reader) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (reader->bytes == reader->end) break;
        uint8_t byte = *reader->bytes++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    hearth__die("the agent sent a malformed message");
    return 0;
}

static bool hearth__next(hearth__reader *reader, hearth__field *field) {
    if (reader->bytes == reader->end) return false;
    uint64_t tag = hearth__read_varint(reader);
    field->number = (uint32_t)(tag >> 3);
    field->type = tag & 7;
    field->value = 0;
    size_t left = (size_t)(reader->end - reader->bytes), size = 0;
    switch (field->type) {
    case 0: field->value = hearth__read_varint(reader); return true;
    case 1: size = 8; break;
    case 5: size = 4; break;
    case 2: {
        uint64_t count = hearth__read_varint(reader);
        left = (size_t)(reader->end - reader->bytes);
        if (count > left) hearth__die("the agent sent a malformed message");
        size = (size_t)count;
        break;
    }
    default: hearth__die("the agent sent a malformed message");
    }
    if (size > left) hearth__die("the agent sent a malformed message");
    field->content.bytes = reader->bytes;
    field->content.end = reader->bytes += size;
    if (field->type != 2) {
        for (size_t byte = size; byte-- > 0;) field->value = field->value << 8 | field->content.bytes[byte];
    }
    return true;
}

static float hearth__float(const hearth__field *field) {
    uint32_t bits = (uint32_t)field->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static hearth_text hearth__text(const hearth__field *field) {
    hearth_text text = {(const char *)field->content.bytes, (size_t)(field->content.end - field->content.bytes)};
    return text;
}

/* --- State */

typedef struct {
    bool used, ended, has_stops;
    uint32_t credit, max_tokens, sent;
    hearth_prompt prompt;
    /* Of this step: ids as packed varints, how many, and their text. */
    hearth__buffer ids, text;
    uint32_t step_tokens;
    /* A `Finish`, once it has ended. */
    hearth__buffer finish;
} hearth__sequence;

struct hearth_step {
    const hearth_engine *engine;
    hearth__buffer received, unsent, scratch, batch;
    size_t sent;
    /* Envelopes that came during a step and wait for its end, each behind its length. */
    hearth__buffer deferred;
    bool is_stepping;
    size_t frame_max;
    bool is_loaded, is_ending;
    hearth_model model;
    hearth__sequence *sequences;
    uint32_t running;
    uint64_t steps, tokens;
    uint32_t *places;
    uint32_t place_count;
};

static void hearth__send(hearth_step *state, uint32_t body, const hearth__buffer *message) {
    hearth__buffer *out = &state->unsent;
    size_t begin = out->count;
    hearth__grow(out, 4);
    out->count += 4;
    hearth__bytes(out, body, message->bytes, message->count);
    size_t length = out->count - begin - 4;
    for (int byte = 0; byte < 4; byte++) out->bytes[begin + byte] = (uint8_t)(length >> (24 - 8 * byte));
}

/* Writes what the socket takes now. */
static void hearth__flush(hearth_step *state) {
    while (state->sent < state->unsent.count) {
        ssize_t count = send(HEARTH__SOCKET, state->unsent.bytes + state->sent, state->unsent.count - state->sent,
                             MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (count < 0) exit(0); /* The agent is gone. */
        state->sent += (size_t)count;
    }
    state->sent = state->unsent.count = 0;
}

static bool hearth__is_flushed(const hearth_step *state) { return state->unsent.count == 0; }

static void hearth__encode_fault(hearth__buffer *buffer, const hearth_fault *fault) {
    hearth__number(buffer, 1, fault->code);
    hearth__bytes(buffer, 2, fault->message, strlen(fault->message));
}

int hearth_fail(hearth_fault *fault, hearth_code code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fault->code = code;
    vsnprintf(fault->message, sizeof fault->message, format, values);
    va_end(values);
    return -1;
}

/* --- Requests */

typedef struct {
    hearth_request request;
    hearth__buffer messages, tokens, stop_tokens, generated_tokens;
    bool has_prompt, has_stops, has_seed;
} hearth__draft;

static void hearth__read_ids(hearth__buffer *ids, hearth__field *field) {
    if (field->type == 0) {
        uint32_t id = (uint32_t)field->value;
        hearth__append(ids, &id, sizeof id);
    } else {
        while (field->content.bytes != field->content.end) {
            uint32_t id = (uint32_t)hearth__read_varint(&field->content);
            hearth__append(ids, &id, sizeof id);
        }
    }
}

static void hearth__read_message(hearth__draft *draft, hearth__reader reader) {
    hearth_message message = {HEARTH_USER, {"", 0}};
    hearth__field field;
    while (hearth__next(&reader, &field)) {
        if (field.number == 1) message.role = (hearth_role)field.value;
        if (field.number == 2) message.content = hearth__text(&field);
    }
    hearth__append(&draft->messages, &message, sizeof message);
}

static void hearth__read_sampling(hearth__draft *draft, hearth__reader reader) {
    hearth__field field;
    hearth_request *request = &draft->request;
    while (hearth__next(&reader, &field)) {
        switch (field.number) {
        case 1: request->temperature = hearth__float(&field); break;
        case 2: request->top_p = hearth__float(&field); break;
        case 3: request->top_k = (uint32_t)field.value; break;
        case 4: request->min_p = hearth__float(&field); break;
        case 5: request->frequency_penalty = hearth__float(&field); break;
        case 6: request->presence_penalty = hearth__float(&field); break;
        case 7: request->repetition_penalty = hearth__float(&field); break;
        case 8:
            request->seed = field.value;
            draft->has_seed = true;
            break;
        }
    }
}

static void hearth__read_stopping(hearth__draft *draft, hearth__reader reader) {
    hearth__field field;
    while (hearth__next(&reader, &field)) {
        switch (field.number) {
        case 1: draft->request.max_tokens = (uint32_t)field.value; break;
        case 2: draft->has_stops = true; break;
        case 3: hearth__read_ids(&draft->stop_tokens, &field); break;
        case 4: draft->request.ignore_end_of_turn = field.value != 0; break;
        }
    }
}

/* A message may come in several pieces, which are merged: the sampling of the model's settings comes first. */
static void hearth__read_request(hearth__draft *draft, hearth__reader reader) {
    hearth__field field, part;
    hearth_request *request = &draft->request;
    while (hearth__next(&reader, &field)) {
        switch (field.number) {
        case 3:
            if (request->kind != HEARTH_PROMPT_MESSAGES) draft->messages.count = 0;
            request->kind = HEARTH_PROMPT_MESSAGES;
            draft->has_prompt = true;
            while (hearth__next(&field.content, &part))
                if (part.number == 1) hearth__read_message(draft, part.content);
            break;
        case 4:
            request->kind = HEARTH_PROMPT_TEXT;
            draft->has_prompt = true;
            request->text = hearth__text(&field);
            break;
        case 5:
            if (request->kind != HEARTH_PROMPT_TOKENS) draft->tokens.count = 0;
            request->kind = HEARTH_PROMPT_TOKENS;
            draft->has_prompt = true;
            while (hearth__next(&field.content, &part))
                if (part.number == 1) hearth__read_ids(&draft->tokens, &part);
            break;
        case 6: hearth__read_sampling(draft, field.content); break;
        case 7: hearth__read_stopping(draft, field.content); break;
        }
    }
}

static void hearth__begin_draft(hearth__draft *draft) {
    hearth_request *request = &draft->request;
    memset(draft, 0, sizeof *draft);
    request->text.bytes = request->cache_scope.bytes = "";
    request->temperature = request->top_p = request->min_p = NAN;
    request->frequency_penalty = request->presence_penalty = request->repetition_penalty = NAN;
    request->top_k = request->max_tokens = UINT32_MAX;
}

static const hearth_request *hearth__end_draft(hearth__draft *draft) {
    hearth_request *request = &draft->request;
    request->messages = (const hearth_message *)(void *)draft->messages.bytes;
    request->message_count = draft->messages.count / sizeof *request->messages;
    request->tokens = (const uint32_t *)(void *)draft->tokens.bytes;
    request->token_count = draft->tokens.count / sizeof *request->tokens;
    request->stop_tokens = (const uint32_t *)(void *)draft->stop_tokens.bytes;
    request->stop_token_count = draft->stop_tokens.count / sizeof *request->stop_tokens;
    request->generated_tokens = (const uint32_t *)(void *)draft->generated_tokens.bytes;
    request->generated_token_count = draft->generated_tokens.count / sizeof *request->generated_tokens;
    if (!draft->has_seed) {
        /* Different for each request and each process: the time, and where the draft lies. */
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        request->seed = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + (uintptr_t)draft->tokens.bytes;
    }
    return request;
}

static void hearth__free_draft(hearth__draft *draft) {
    free(draft->messages.bytes);
    free(draft->tokens.bytes);
    free(draft->stop_tokens.bytes);
    free(draft->generated_tokens.bytes);
}

/* --- Endings */

/* `FinishReason`; LENGTH ends what the kit ends, CANCELLED what the agent does. */
enum { HEARTH__STOP = 1, HEARTH__LENGTH = 2, HEARTH__CANCELLED = 3 };

static void hearth__end(hearth_step *state, uint32_t number, int reason, const uint32_t *stop_token,
                        const hearth_fault *fault) {
    hearth__sequence *sequence = &state->sequences[number];
    if (!sequence->used || sequence->ended) return;
    sequence->ended = true;
    sequence->finish.count = 0;
    if (fault) {
        hearth__buffer encoded = {0};
        hearth__encode_fault(&encoded, fault);
        hearth__bytes(&sequence->finish, 2, encoded.bytes, encoded.count);
        free(encoded.bytes);
    } else {
        hearth__number(&sequence->finish, 1, (uint64_t)reason);
    }
    if (stop_token) {
        hearth__varint(&sequence->finish, 3 << 3);
        hearth__varint(&sequence->finish, *stop_token);
    }
    hearth__number(&sequence->finish, 4, sequence->prompt.total);
    hearth__number(&sequence->finish, 5, sequence->prompt.cached);
}

static void hearth__send_batch(hearth_step *state) {
    if (!state->batch.count) return;
    hearth__send(state, 4, &state->batch);
    state->batch.count = 0;
}

/* Puts what came of a sequence into the batch; what would not fit into a frame begins the next one. */
static void hearth__add_run(hearth_step *state, uint32_t number) {
    hearth__sequence *sequence = &state->sequences[number];
    if (!sequence->used || (!sequence->step_tokens && !sequence->ended)) return;
    hearth__buffer *run = &state->scratch;
    run->count = 0;
    hearth__number(run, 1, number);
    if (sequence->ids.count) hearth__bytes(run, 2, sequence->ids.bytes, sequence->ids.count);
    if (sequence->text.count) hearth__bytes(run, 3, sequence->text.bytes, sequence->text.count);
    if (sequence->ended) hearth__bytes(run, 4, sequence->finish.bytes, sequence->finish.count);
    if (state->batch.count + run->count + 32 > state->frame_max) hearth__send_batch(state);
    hearth__bytes(&state->batch, 1, run->bytes, run->count);
    sequence->step_tokens = 0;
    sequence->ids.count = sequence->text.count = 0;
    if (sequence->ended) {
        sequence->used = false;
        state->running--;
        state->engine->end(state->engine->self, number);
    }
}

static void hearth__add_runs(hearth_step *state) {
    for (uint32_t number = 0; number < state->model.max_sequences; number++) hearth__add_run(state, number);
    hearth__send_batch(state);
}

/* --- Messages of the agent */

static void hearth__welcome(hearth_step *state, hearth__reader reader) {
    hearth__field field;
    while (hearth__next(&reader, &field))
        if (field.number == 2 && field.value >= 64 << 10) state->frame_max = (size_t)field.value;
}

static void hearth__fatal(hearth_step *state, const hearth_fault *fault) {
    state->scratch.count = 0;
    hearth__encode_fault(&state->scratch, fault);
    hearth__send(state, 7, &state->scratch);
    state->is_ending = true;
    fprintf(stderr, "%s\n", fault->message);
}

static void hearth__load(hearth_step *state, hearth__reader reader) {
    hearth_load_request request = {{"", 0}, -1, 0, 0, 1, 1, NULL, 0};
    hearth__buffer options = {0};
    hearth__field field, part;
    while (hearth__next(&reader, &field)) {
        switch (field.number) {
        case 1: request.model = hearth__text(&field); break;
        case 2: request.weights = (int)field.value; break;
        case 3: request.weights_bytes = field.value; break;
        case 4: request.context_tokens = (uint32_t)field.value; break;
        case 5: request.max_sequences = (uint32_t)field.value; break;
        case 6: request.threads = (uint32_t)field.value; break;
        case 7: {
            hearth_text entry[2] = {{"", 0}, {"", 0}};
            while (hearth__next(&field.content, &part))
                if (part.number == 1 || part.number == 2) entry[part.number - 1] = hearth__text(&part);
            hearth__append(&options, entry, sizeof entry);
            request.option_count++;
            break;
        }
        }
    }
    request.options = (const hearth_text *)(void *)options.bytes;
    hearth_fault fault = {HEARTH_INTERNAL, ""};
    hearth_model *model = &state->model;
    int failed = state->engine->load(state->engine->self, &request, model, &fault);
    if (!failed && (!model->context_tokens || !model->max_sequences || model->max_sequences > request.max_sequences ||
                    model->max_sequences > HEARTH__SEQUENCES_MAX ||
                    (request.context_tokens && model->context_tokens > request.context_tokens)))
        failed = hearth_fail(&fault, HEARTH_INTERNAL, "the engine loaded %u tokens and %u sequences, and may load %u and %u",
                             model->context_tokens, model->max_sequences, request.context_tokens, request.max_sequences);
    free(options.bytes);
    if (failed) {
        hearth__fatal(state, &fault);
        return;
    }
    state->sequences = calloc(model->max_sequences, sizeof *state->sequences);
    state->places = calloc(model->max_sequences, sizeof *state->places);
    if (!state->sequences || !state->places) hearth__die("no memory is left");
    state->is_loaded = true;
    state->scratch.count = 0;
    hearth__number(&state->scratch, 1, model->context_tokens);
    hearth__number(&state->scratch, 2, model->max_sequences);
    hearth__send(state, 3, &state->scratch);
}

static bool hearth__has(const hearth_engine *engine, const char *capability) {
    for (const char *const *name = engine->capabilities; name && *name; name++)
        if (!strcmp(*name, capability)) return true;
    return false;
}

static hearth__sequence *hearth__known(hearth_step *state, uint64_t number) {
    return number < state->model.max_sequences ? &state->sequences[number] : NULL;
}

static void hearth__start(hearth_step *state, hearth__reader reader) {
    hearth__draft draft;
    hearth__field field;
    uint32_t number = 0, credit = 0;
    hearth__begin_draft(&draft);
    while (hearth__next(&reader, &field)) {
        switch (field.number) {
        case 1: number = (uint32_t)field.value; break;
        case 2: credit = (uint32_t)field.value; break;
        case 3: hearth__read_request(&draft, field.content); break;
        case 4: draft.request.cache_scope = hearth__text(&field); break;
        case 5: hearth__read_ids(&draft.generated_tokens, &field); break;
        }
    }
    hearth__sequence *sequence = hearth__known(state, number);
    if (!sequence || sequence->used) hearth__die("the agent began a sequence that is not free");
    const hearth_request *request = hearth__end_draft(&draft);
    uint32_t context = state->model.context_tokens;
    hearth_fault fault = {HEARTH_INTERNAL, "the engine refused the request and did not say why"};
    hearth_prompt prompt = {0, 0};
    int failed = 0;
    if (!draft.has_prompt) failed = hearth_fail(&fault, HEARTH_INVALID_ARGUMENT, "the request has no prompt");
    size_t generated = request->generated_token_count;
    if (!failed && generated && !hearth__has(state->engine, "continue"))
        failed = hearth_fail(&fault, HEARTH_UNSUPPORTED,
                             "%s does not go on with a completion that an earlier process began; begin anew",
                             state->engine->name);
    if (!failed && generated && generated >= request->max_tokens)
        failed = hearth_fail(&fault, HEARTH_INVALID_ARGUMENT,
                             "generated_token_ids has %zu tokens of at most %u, stopping.max_tokens; nothing is left to "
                             "compute", generated, request->max_tokens);
    if (!failed) failed = state->engine->start(state->engine->self, number, request, &prompt, &fault);
    if (!failed && generated && prompt.total < context && generated >= context - prompt.total) {
        state->engine->end(state->engine->self, number);
        failed = hearth_fail(&fault, HEARTH_CONTEXT_OVERFLOW,
                             "the prompt has %u tokens, %zu were generated, and the context has %u; shorten the prompt, or "
                             "ask for fewer tokens", prompt.total, generated, context);
    } else if (!failed && prompt.total >= context) {
        state->engine->end(state->engine->self, number);
        failed = hearth_fail(&fault, HEARTH_CONTEXT_OVERFLOW,
                             "the prompt has %u tokens and the context %u, of which one is for the completion; shorten "
                             "the prompt", prompt.total, context);
    }
    sequence->used = true;
    sequence->ended = false;
    sequence->has_stops = draft.has_stops;
    sequence->credit = credit;
    sequence->sent = (uint32_t)generated;
    sequence->prompt = prompt;
    state->running++;
    if (failed) {
        /* It holds nothing of the engine's: its run is sent without `end`. */
        sequence->prompt.total = sequence->prompt.cached = 0;
        hearth__end(state, number, 0, NULL, &fault);
        hearth__buffer *run = &state->scratch;
        run->count = 0;
        hearth__number(run, 1, number);
        hearth__bytes(run, 4, sequence->finish.bytes, sequence->finish.count);
        hearth__bytes(&state->batch, 1, run->bytes, run->count);
        hearth__send_batch(state);
        sequence->used = false;
        state->running--;
    } else {
        uint32_t room = context - prompt.total;
        sequence->max_tokens = request->max_tokens < room ? request->max_tokens : room;
        if (!sequence->max_tokens) hearth__end(state, number, HEARTH__LENGTH, NULL, NULL);
    }
    hearth__free_draft(&draft);
}

static void hearth__count(hearth_step *state, hearth__reader reader) {
    hearth__draft draft;
    hearth__field field;
    uint64_t query = 0;
    hearth__begin_draft(&draft);
    while (hearth__next(&reader, &field)) {
        if (field.number == 1) query = field.value;
        if (field.number == 2) hearth__read_request(&draft, field.content);
    }
    hearth_fault fault = {HEARTH_INTERNAL, "the engine cannot count this prompt and did not say why"};
    uint32_t tokens = 0;
    int failed = state->engine->count
                     ? state->engine->count(state->engine->self, hearth__end_draft(&draft), &tokens, &fault)
                     : hearth_fail(&fault, HEARTH_UNSUPPORTED, "this backend counts no tokens");
    hearth__free_draft(&draft);
    hearth__buffer answer = {0}, encoded = {0};
    hearth__number(&answer, 1, query);
    if (failed) {
        hearth__encode_fault(&encoded, &fault);
        hearth__bytes(&answer, 3, encoded.bytes, encoded.count);
    } else {
        hearth__varint(&answer, 2 << 3);
        hearth__varint(&answer, tokens);
    }
    hearth__send(state, 5, &answer);
    free(answer.bytes);
    free(encoded.bytes);
}

static void hearth__ping(hearth_step *state, hearth__reader reader) {
    hearth__field field;
    uint64_t nonce = 0;
    while (hearth__next(&reader, &field))
        if (field.number == 1) nonce = field.value;
    hearth__buffer pong = {0};
    hearth__number(&pong, 1, nonce);
    hearth__number(&pong, 2, state->steps);
    hearth__number(&pong, 3, state->tokens);
    hearth__number(&pong, 4, state->running);
    hearth__send(state, 6, &pong);
    free(pong.bytes);
}

/* `Credit` and `Cancel` of a sequence that has just ended mean nothing. */
static void hearth__steer(hearth_step *state, hearth__reader reader, bool is_cancel) {
    hearth__field field;
    uint64_t number = 0, tokens = 0;
    while (hearth__next(&reader, &field)) {
        if (field.number == 1) number = field.value;
        if (field.number == 2) tokens = field.value;
    }
    hearth__sequence *sequence = hearth__known(state, number);
    if (!sequence || !sequence->used || sequence->ended) return;
    if (is_cancel) {
        hearth__end(state, (uint32_t)number, HEARTH__CANCELLED, NULL, NULL);
    } else {
        uint64_t sum = sequence->credit + tokens;
        sequence->credit = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
    }
}

/* The engine is not called within its own step. What follows a message that waits may concern it, and waits too. */
static bool hearth__defer(hearth_step *state, hearth__reader envelope, uint32_t body) {
    bool calls_engine = body == 3 || body == 4 || body == 7;
    if (!state->is_stepping || body == 8 || (!calls_engine && !state->deferred.count)) return false;
    size_t count = (size_t)(envelope.end - envelope.bytes);
    hearth__append(&state->deferred, &count, sizeof count);
    hearth__append(&state->deferred, envelope.bytes, count);
    return true;
}

static void hearth__take(hearth_step *state, hearth__reader reader) {
    hearth__field body;
    hearth__reader envelope = reader;
    while (hearth__next(&reader, &body)) {
        if (hearth__defer(state, envelope, body.number)) return;
        switch (body.number) {
        case 1: hearth__welcome(state, body.content); break;
        case 2:
            fprintf(stderr, "the agent speaks no revision of the contract that this backend does\n");
            state->is_ending = true;
            break;
        case 3: hearth__load(state, body.content); break;
        case 4: hearth__start(state, body.content); break;
        case 5: hearth__steer(state, body.content, false); break;
        case 6: hearth__steer(state, body.content, true); break;
        case 7: hearth__count(state, body.content); break;
        case 8: hearth__ping(state, body.content); break;
        case 9:
            for (uint32_t number = 0; number < state->model.max_sequences; number++)
                hearth__end(state, number, HEARTH__CANCELLED, NULL, NULL);
            if (!state->is_stepping) hearth__add_runs(state);
            state->is_ending = true;
            break;
        }
    }
}

static void hearth__take_deferred(hearth_step *state) {
    hearth__buffer deferred = state->deferred;
    memset(&state->deferred, 0, sizeof state->deferred);
    for (size_t place = 0; place < deferred.count && !state->is_ending;) {
        size_t count;
        memcpy(&count, deferred.bytes + place, sizeof count);
        place += sizeof count;
        hearth__reader reader = {deferred.bytes + place, deferred.bytes + place + count};
        hearth__take(state, reader);
        place += count;
    }
    free(deferred.bytes);
}

/* Reads what has come, and takes every whole frame of it. */
static void hearth__receive(hearth_step *state) {
    hearth__buffer *received = &state->received;
    while (!state->is_ending) {
        uint8_t *place = hearth__grow(received, 64 << 10);
        ssize_t count = read(HEARTH__SOCKET, place, 64 << 10);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (count <= 0) exit(0); /* The agent is gone. */
        received->count += (size_t)count;
        size_t taken = 0;
        while (received->count - taken >= 4 && !state->is_ending) {
            const uint8_t *head = received->bytes + taken;
            size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
            if (!length || length > HEARTH__RECEIVED_MAX) hearth__die("the agent sent a frame of no possible length");
            if (received->count - taken - 4 < length) break;
            hearth__reader reader = {head + 4, head + 4 + length};
            hearth__take(state, reader);
            taken += 4 + length;
        }
        received->count -= taken;
        memmove(received->bytes, received->bytes + taken, received->count);
    }
}

/* --- Steps */

uint32_t hearth_step_count(const hearth_step *step) { return step->place_count; }

uint32_t hearth_step_sequence(const hearth_step *step, uint32_t place) { return step->places[place]; }

uint32_t hearth_step_credit(const hearth_step *step, uint32_t number) {
    if (number >= step->model.max_sequences) return 0;
    const hearth__sequence *sequence = &step->sequences[number];
    if (!sequence->used || sequence->ended) return 0;
    uint32_t left = sequence->max_tokens - sequence->sent, credit = sequence->credit < left ? sequence->credit : left;
    /* The agent looks for stop strings, and takes one token at a time meanwhile. */
    if (sequence->has_stops) credit = credit && !sequence->step_tokens;
    return credit;
}

bool hearth_emit(hearth_step *step, uint32_t number, uint32_t token, const char *text, size_t count) {
    if (!hearth_step_credit(step, number)) return false;
    hearth__sequence *sequence = &step->sequences[number];
    if (count > HEARTH__TEXT_MAX) {
        hearth_fault fault;
        hearth_fail(&fault, HEARTH_INTERNAL, "the token %u has %zu bytes of text; at most %d are sent", token, count,
                    HEARTH__TEXT_MAX);
        hearth__end(step, number, 0, NULL, &fault);
        return false;
    }
    /* A run stays within a frame. */
    if (sequence->text.count + count + sequence->ids.count + 4096 > step->frame_max) hearth__add_run(step, number);
    hearth__varint(&sequence->ids, token);
    hearth__append(&sequence->text, text, count);
    sequence->credit--;
    sequence->sent++;
    sequence->step_tokens++;
    step->tokens++;
    if (sequence->sent == sequence->max_tokens) hearth__end(step, number, HEARTH__LENGTH, NULL, NULL);
    return !sequence->ended;
}

void hearth_finish(hearth_step *step, uint32_t number) {
    if (number < step->model.max_sequences) hearth__end(step, number, HEARTH__STOP, NULL, NULL);
}

void hearth_finish_at(hearth_step *step, uint32_t number, uint32_t stop_token) {
    if (number < step->model.max_sequences) hearth__end(step, number, HEARTH__STOP, &stop_token, NULL);
}

void hearth_refuse(hearth_step *step, uint32_t number, const hearth_fault *fault) {
    if (number < step->model.max_sequences) hearth__end(step, number, 0, NULL, fault);
}

void hearth_attend(hearth_step *step) {
    step->steps++;
    hearth__receive(step);
    hearth__flush(step);
}

static void hearth__hello(hearth_step *state) {
    const hearth_engine *engine = state->engine;
    hearth__buffer hello = {0};
    hearth__number(&hello, 1, 1);
    hearth__number(&hello, 2, 2);
    hearth__bytes(&hello, 3, engine->name, strlen(engine->name));
    hearth__bytes(&hello, 4, engine->version, strlen(engine->version));
    for (const char *const *name = engine->capabilities; name && *name; name++)
        hearth__bytes(&hello, 5, *name, strlen(*name));
    if (engine->count) hearth__bytes(&hello, 5, "count_tokens", strlen("count_tokens"));
    hearth__send(state, 1, &hello);
    free(hello.bytes);
}

/* Returns after how many milliseconds the next step makes sense; -1: not before something has come. */
static int hearth__step(hearth_step *state) {
    state->place_count = 0;
    for (uint32_t number = 0; state->is_loaded && number < state->model.max_sequences; number++)
        if (hearth_step_credit(state, number)) state->places[state->place_count++] = number;
    int pace = -1;
    if (state->place_count) {
        hearth_fault fault = {HEARTH_INTERNAL, "the engine failed and did not say why"};
        state->is_stepping = true;
        pace = state->engine->step(state->engine->self, state, &fault);
        state->is_stepping = false;
        state->steps++;
        if (pace < 0) {
            hearth__fatal(state, &fault);
            return -1;
        }
    }
    /* Also those that were cancelled, or ended before their first step. */
    if (state->is_loaded) hearth__add_runs(state);
    if (state->deferred.count) {
        hearth__take_deferred(state);
        return 0;
    }
    return pace;
}

int hearth_run(const hearth_engine *engine) {
    hearth_step state = {0};
    state.engine = engine;
    state.frame_max = 1 << 20;
    int flags = fcntl(HEARTH__SOCKET, F_GETFL);
    if (flags < 0 || fcntl(HEARTH__SOCKET, F_SETFL, flags | O_NONBLOCK) < 0) {
        fprintf(stderr, "descriptor 3 is no socket: this program is a backend, which Hearth's agent starts\n");
        return 1;
    }
    hearth__hello(&state);
    int pace = -1;
    for (;;) {
        hearth__flush(&state);
        if (state.is_ending && hearth__is_flushed(&state)) return 0;
        struct pollfd socket = {HEARTH__SOCKET, POLLIN, 0};
        if (!hearth__is_flushed(&state)) socket.events |= POLLOUT;
        /* While the agent takes nothing, nothing is computed. */
        int most = hearth__is_flushed(&state) ? pace : -1;
        if (poll(&socket, 1, most) < 0 && errno != EINTR) hearth__die("poll failed");
        if (!state.is_ending) hearth__receive(&state);
        if (state.is_ending || !hearth__is_flushed(&state)) {
            hearth__flush(&state);
            if (state.is_ending || !hearth__is_flushed(&state)) continue;
        }
        pace = hearth__step(&state);
    }
}

#endif
