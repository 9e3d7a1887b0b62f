// The draft model: a second, smaller model of the same vocabulary.
#include "Model.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

using hearth::clearError;
using hearth::guarded;

namespace {

/// Its file, from its opening until it is loaded.
hearth::WeightsFiles draftFiles;

/// Models of one family are padded to different sizes of their vocabularies.
constexpr int32_t paddingTokensMax = 128;

/// What is less likely than the likeliest token by this factor, e to this power, adds nothing to the sum of all.
constexpr float negligibleLogit = 16;

/// Whether no text leads to the token.
bool isSpecial(const llama_vocab *vocabulary, llama_token token) {
    return llama_vocab_get_attr(vocabulary, token) &
           (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN | LLAMA_TOKEN_ATTR_UNUSED);
}

/// A difference that matters: the texts of both become the same tokens where there is none.
std::string difference(const llama_vocab *model, const llama_vocab *draft) {
    if (llama_vocab_type(model) != llama_vocab_type(draft)) return "splits text in another way";
    const int32_t count = llama_vocab_n_tokens(model);
    const int32_t draftCount = llama_vocab_n_tokens(draft);
    if (std::abs(count - draftCount) > paddingTokensMax) {
        return "has " + std::to_string(draftCount) + " tokens, and not " + std::to_string(count);
    }
    const auto first = [](const llama_vocab *vocabulary) {
        return llama_vocab_get_add_bos(vocabulary) ? llama_vocab_bos(vocabulary) : LLAMA_TOKEN_NULL;
    };
    if (first(model) != first(draft)) return "begins texts with another token";
    for (llama_token token = 0; token < std::min(count, draftCount); token++) {
        if (isSpecial(model, token) && isSpecial(draft, token)) continue;
        const std::string text = llama_vocab_get_text(model, token);
        const std::string draftText = llama_vocab_get_text(draft, token);
        if (text != draftText) {
            return "has the token " + std::to_string(token) + " as \"" + draftText.substr(0, 40) + "\", and not as \"" +
                   text.substr(0, 40) + "\"";
        }
    }
    return "";
}

}  // namespace

size_t hearth_llama_open_draft(int descriptor, uint8_t *first, size_t capacity) {
    return hearth::openFile(draftFiles, descriptor, first, capacity);
}

hearth_llama_file_facts hearth_llama_inspect_draft(void) { return hearth::inspectFile(draftFiles.file(0)); }

hearth_llama *hearth_llama_load_draft(hearth_llama_loading loading) {
    clearError();
    return guarded<hearth_llama *>(nullptr, [&]() -> hearth_llama * {
        FILE *file = draftFiles.file(0);
        if (!file) throw std::runtime_error("no draft model was opened");
        std::rewind(file);
        llama_model *model = llama_model_load_from_file_ptr(file, hearth::parameters(loading));
        if (!model) return nullptr;
        auto llama = hearth::own(model, loading);
        // Mapped weights need no open file.
        if (loading != HEARTH_LLAMA_MEASURED) draftFiles.close();
        return llama.release();
    });
}

size_t hearth_llama_vocabulary_flaw(const hearth_llama *llama, const hearth_llama *draft, char *text, size_t capacity) {
    return guarded<size_t>(0, [&]() -> size_t {
        if (capacity == 0) return 0;
        std::snprintf(text, capacity, "%s", difference(llama->vocabulary(), draft->vocabulary()).c_str());
        return std::strlen(text);
    });
}

hearth_llama_guess hearth_llama_likeliest(const hearth_llama *draft, int32_t index, int32_t bound) {
    constexpr hearth_llama_guess none{-1, 0};
    return guarded(none, [&] {
        const float *logits = llama_get_logits_ith(draft->context.get(), index);
        if (!logits) return none;
        const int32_t count = std::min(bound, draft->vocabularySize());
        int32_t likeliest = 0;
        for (int32_t token = 0; token < count; token++) {
            if (std::isnan(logits[token])) return none;
            if (logits[token] > logits[likeliest]) likeliest = token;
        }
        if (count == 0 || !std::isfinite(logits[likeliest])) return none;
        float sum = 0;
        for (int32_t token = 0; token < count; token++) {
            const float behind = logits[likeliest] - logits[token];
            if (behind < negligibleLogit) sum += std::exp(-behind);
        }
        return hearth_llama_guess{likeliest, 1 / sum};
    });
}
