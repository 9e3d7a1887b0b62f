/* A backend of long steps, for the test of the C kit: each step has 50 parts of 20 ms, and calls hearth_attend after each.
   A token is the number of the parts that its sequence has seen; a prompt is counted by its bytes. */
#define _POSIX_C_SOURCE 200809L
#define HEARTH_BACKEND_IMPLEMENTATION
#include "hearth_backend.h"

static uint32_t seen[4];

static int load(void *self, const hearth_load_request *request, hearth_model *loaded, hearth_fault *fault) {
    (void)self;
    (void)fault;
    for (size_t option = 0; option < request->option_count; option++)
        fprintf(stderr, "option %.*s is %.*s\n", (int)request->options[2 * option].count,
                request->options[2 * option].bytes, (int)request->options[2 * option + 1].count,
                request->options[2 * option + 1].bytes);
    loaded->max_sequences = request->max_sequences < 4 ? request->max_sequences : 4;
    loaded->context_tokens = 1000;
    return 0;
}

static int start(void *self, uint32_t sequence, const hearth_request *request, hearth_prompt *prompt,
                 hearth_fault *fault) {
    (void)self;
    (void)fault;
    seen[sequence] = 0;
    prompt->total = request->kind == HEARTH_PROMPT_MESSAGES ? (uint32_t)request->message_count : 1;
    return 0;
}

static void end(void *self, uint32_t sequence) {
    (void)self;
    seen[sequence] = 0;
}

static int step(void *self, hearth_step *step, hearth_fault *fault) {
    (void)self;
    (void)fault;
    uint32_t count = hearth_step_count(step);
    for (int part = 0; part < 50; part++) {
        struct timespec time = {0, 20000000};
        nanosleep(&time, NULL);
        hearth_attend(step);
        for (uint32_t place = 0; place < count; place++) seen[hearth_step_sequence(step, place)]++;
    }
    for (uint32_t place = 0; place < count; place++) {
        char text[16];
        uint32_t sequence = hearth_step_sequence(step, place);
        int length = snprintf(text, sizeof text, " %u", seen[sequence]);
        hearth_emit(step, sequence, seen[sequence], text, (size_t)length);
        if (seen[sequence] == 100) hearth_finish(step, sequence);
    }
    return 0;
}

static int count(void *self, const hearth_request *request, uint32_t *tokens, hearth_fault *fault) {
    (void)self;
    if (request->kind != HEARTH_PROMPT_TEXT) return hearth_fail(fault, HEARTH_UNSUPPORTED, "only text is counted");
    *tokens = (uint32_t)request->text.count;
    return 0;
}

int main(void) {
    static const char *const capabilities[] = {"chat", NULL};
    const hearth_engine engine = {.name = "parts", .version = "2", .capabilities = capabilities, .load = load,
                                  .start = start, .end = end, .step = step, .count = count};
    return hearth_run(&engine);
}
