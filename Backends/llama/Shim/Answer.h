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

struct hearth_llama_sampler {
    std::unique_ptr<llama_sampler, hearth::SamplerDeleter> chain;
    /// The tokens that are not chosen as the next `heldBack` ones.
    std::vector<llama_token> ends;
    uint32_t heldBack = 0;
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
