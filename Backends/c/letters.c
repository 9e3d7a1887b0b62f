/* A backend in a page: a model of letters, which draws each byte by what followed the one before in its weights, or in a
   sentence of its own where it has none.

   cc -std=c11 -O2 -static letters.c -o letters -lm */
#define _POSIX_C_SOURCE 200809L
#define HEARTH_BACKEND_IMPLEMENTATION
#include "hearth_backend.h"

enum { SEQUENCES = 16, CONTEXT = 4096 };

typedef struct {
    uint32_t followers[256][256], sums[256];
    struct {
        uint8_t last;
        uint64_t random;
        bool stops[256];
    } sequences[SEQUENCES];
} letters;

static letters model;

static void learn(const uint8_t *text, size_t count) {
    for (size_t place = 0; place + 1 < count; place++) {
        model.followers[text[place]][text[place + 1]]++;
        model.sums[text[place]]++;
    }
}

static int load(void *self, const hearth_load_request *request, hearth_model *loaded, hearth_fault *fault) {
    (void)self;
    const char *sentence = "the fire warms the house, and the house keeps the fire. ";
    learn((const uint8_t *)sentence, strlen(sentence));
    uint8_t text[4096];
    ssize_t count = 0;
    while (request->weights >= 0 && (count = read(request->weights, text, sizeof text)) > 0) learn(text, (size_t)count);
    if (count < 0) return hearth_fail(fault, HEARTH_BAD_MODEL, "the weights cannot be read: %s", strerror(errno));
    loaded->max_sequences = request->max_sequences < SEQUENCES ? request->max_sequences : SEQUENCES;
    loaded->context_tokens =
        request->context_tokens && request->context_tokens < CONTEXT ? request->context_tokens : CONTEXT;
    return 0;
}

/* SplitMix64: draw number n has this state, whatever was drawn before. */
static const uint64_t STRIDE = 0x9e3779b97f4a7c15;

static int start(void *self, uint32_t sequence, const hearth_request *request, hearth_prompt *prompt,
                 hearth_fault *fault) {
    (void)self;
    if (request->kind != HEARTH_PROMPT_TEXT) return hearth_fail(fault, HEARTH_UNSUPPORTED, "letters takes text only");
    prompt->total = (uint32_t)request->text.count;
    model.sequences[sequence].last = (uint8_t)request->text.bytes[request->text.count - 1];
    model.sequences[sequence].random = request->seed + request->generated_token_count * STRIDE;
    memset(model.sequences[sequence].stops, 0, sizeof model.sequences[sequence].stops);
    for (size_t place = 0; place < request->stop_token_count; place++)
        if (request->stop_tokens[place] <= UINT8_MAX) model.sequences[sequence].stops[request->stop_tokens[place]] = true;
    for (size_t place = 0; place < request->generated_token_count; place++) {
        uint32_t token = request->generated_tokens[place];
        uint8_t last = model.sequences[sequence].last;
        if (token > UINT8_MAX || !model.followers[last][token])
            return hearth_fail(fault, HEARTH_INVALID_ARGUMENT, "letters writes no %u behind %u", token, last);
        model.sequences[sequence].last = (uint8_t)token;
    }
    return 0;
}

static void end(void *self, uint32_t sequence) {
    (void)self;
    (void)sequence;
}

static uint64_t draw(uint64_t *state) {
    uint64_t bits = *state += STRIDE;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return bits ^ bits >> 31;
}

static int step(void *self, hearth_step *step, hearth_fault *fault) {
    (void)self;
    (void)fault;
    for (uint32_t place = 0; place < hearth_step_count(step); place++) {
        uint32_t sequence = hearth_step_sequence(step, place);
        uint8_t last = model.sequences[sequence].last, next = 0;
        if (!model.sums[last]) {
            hearth_finish(step, sequence); /* Nothing ever followed it. */
            continue;
        }
        uint64_t left = draw(&model.sequences[sequence].random) % model.sums[last];
        while (left >= model.followers[last][next]) left -= model.followers[last][next++];
        model.sequences[sequence].last = next;
        if (model.sequences[sequence].stops[next]) {
            hearth_finish_at(step, sequence, next);
            continue;
        }
        hearth_emit(step, sequence, next, (const char *)&next, 1);
    }
    return 0;
}

int main(void) {
    static const char *const capabilities[] = {"continue", NULL};
    const hearth_engine engine = {
        .name = "letters", .version = "1", .capabilities = capabilities, .load = load, .start = start, .end = end, .step = step};
    return hearth_run(&engine);
}
