// The answer to a conversation, and the sampler that chooses its tokens.
#ifndef HEARTH_ANSWER_H
#define HEARTH_ANSWER_H

#include <optional>

#include "CallTrigger.h"
#include "Model.h"
#include "TextHold.h"

struct hearth_llama_answer {
    explicit hearth_llama_answer(const std::shared_ptr<const hearth::AnswerFormat> &format)
        : format(format), parser(format) {}

    std::shared_ptr<const hearth::AnswerFormat> format;
    hearth::AnswerParser parser;
    /// The special tokens that it is told apart by.
    std::vector<llama_token> marks;
    /// What its calls of tools are held to, until a sampler has it; null: nothing.
    std::unique_ptr<hearth::TextHold> hold;
    /// The views of the last look.
    std::vector<hearth_llama_call_piece> calls;
};

namespace hearth {

/// What the random draws for a token depend on, beside what is drawn: nothing else, so that another process goes on with a
/// completion as the one that began it would.
struct Draws {
    uint32_t seed = 0;
    /// The tokens of the completion so far.
    uint64_t chosen = 0;
    /// How often the next one was drawn: twice where its form refused the first.
    uint32_t tries = 0;
};

}  // namespace hearth

struct hearth_llama_sampler {
    std::unique_ptr<llama_sampler, hearth::SamplerDeleter> chain;
    /// The tokens that are not chosen as the next `heldBack` ones.
    std::vector<llama_token> ends;
    uint32_t heldBack = 0;
    /// Where its random draws stand.
    hearth::Draws draws;
    /// What the text is held to; null: it is free.
    std::unique_ptr<hearth::TextHold> hold;

    /// A hold that begins where a call does.
    struct Later {
        hearth::CallTrigger trigger;
        std::unique_ptr<hearth::TextHold> hold;
        std::vector<llama_token> marks;
    };
    std::optional<Later> later;
};

#endif
