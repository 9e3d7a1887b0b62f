// Vectors and scores: models that were trained for them, and continue no text.
#include "Model.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

using hearth::guarded;

namespace {

/// The number under a key that begins with the model's architecture; negative where there is none.
long numberOf(const llama_model *model, const std::string &key) {
    char architecture[64], text[32];
    if (llama_model_meta_val_str(model, "general.architecture", architecture, sizeof architecture) <= 0) return -1;
    const std::string name = std::string(architecture) + "." + key;
    if (llama_model_meta_val_str(model, name.c_str(), text, sizeof text) <= 0) return -1;
    char *end = nullptr;
    const long number = std::strtol(text, &end, 10);
    return end != text ? number : -1;
}

/// The tokens of a part of a reranker's template that its authors wrote.
hearth::RankingPart partOf(const llama_vocab *vocabulary, std::string text) {
    hearth::RankingPart part;
    // A blank before a text becomes a token with the text's first word.
    if (!text.empty() && text.back() == ' ') {
        part.endsInBlank = true;
        text.pop_back();
    }
    hearth::tokenize(vocabulary, text, false, true, part.tokens);
    return part;
}

}  // namespace

hearth_llama_pooling hearth::poolingOf(const llama_model *model) {
    switch (numberOf(model, "pooling_type")) {
        case LLAMA_POOLING_TYPE_MEAN: return HEARTH_LLAMA_MEAN;
        case LLAMA_POOLING_TYPE_CLS: return HEARTH_LLAMA_FIRST;
        case LLAMA_POOLING_TYPE_LAST: return HEARTH_LLAMA_LAST;
        case LLAMA_POOLING_TYPE_RANK: return HEARTH_LLAMA_RANK;
        default: return HEARTH_LLAMA_NO_POOLING;
    }
}

void hearth::prepareRanking(hearth_llama &llama) {
    const llama_vocab *vocabulary = llama.vocabulary();
    if (const char *source = llama_model_chat_template(llama.model.get(), "rerank")) {
        const std::string text = source, query = "{query}", document = "{document}";
        const size_t first = text.find(query), second = text.find(document);
        if (first == text.npos || second == text.npos || second < first || text.find(query, first + 1) != text.npos ||
            text.find(document, second + 1) != text.npos) {
            throw std::runtime_error("its template \"rerank\" is not one text with {query} and {document} in it");
        }
        llama.ranking = {partOf(vocabulary, text.substr(0, first)),
                         partOf(vocabulary, text.substr(first + query.size(), second - first - query.size())),
                         partOf(vocabulary, text.substr(second + document.size()))};
        return;
    }
    // BOS query EOS SEP document EOS, of which a vocabulary has some; one without EOS has SEP at the end, as its authors
    // trained it, where llama-server has nothing.
    const auto add = [&](size_t part, bool isAdded, llama_token token) {
        if (isAdded && token != LLAMA_TOKEN_NULL) llama.ranking[part].tokens.push_back(token);
    };
    const llama_token separator = llama_vocab_sep(vocabulary);
    const bool hasEnd = llama_vocab_get_add_eos(vocabulary), hasSeparator = llama_vocab_get_add_sep(vocabulary);
    const llama_token end = llama_vocab_eos(vocabulary) == LLAMA_TOKEN_NULL ? separator : llama_vocab_eos(vocabulary);
    llama.ranking.assign(3, {});
    add(0, llama_vocab_get_add_bos(vocabulary), llama_vocab_bos(vocabulary));
    add(1, hasEnd, end);
    add(1, hasSeparator, separator);
    add(2, hasEnd, end);
    add(2, !hasEnd && hasSeparator, separator);
}

size_t hearth_llama_ranking_part(const hearth_llama *llama, size_t part, const int32_t **tokens, bool *ends_in_blank) {
    if (part >= llama->ranking.size()) return 0;
    *tokens = llama->ranking[part].tokens.data();
    *ends_in_blank = llama->ranking[part].endsInBlank;
    return llama->ranking[part].tokens.size();
}

void hearth_llama_forget_all(hearth_llama *llama) {
    if (llama_memory_t memory = llama_get_memory(llama->context.get())) llama_memory_clear(memory, false);
}

bool hearth_llama_vector(const hearth_llama *llama, int32_t first, int32_t count, hearth_llama_pooling pooling,
                         float *vector) {
    return guarded(false, [&] {
        const size_t width = llama_model_n_embd_out(llama->model.get());
        const auto token = [&](int32_t index) {
            const float *numbers = llama_get_embeddings_ith(llama->context.get(), index);
            if (!numbers) throw std::runtime_error("a token has no vector");
            return numbers;
        };
        if (pooling != HEARTH_LLAMA_MEAN) {
            std::copy_n(token(pooling == HEARTH_LLAMA_LAST ? first + count - 1 : first), width, vector);
            return true;
        }
        std::vector<double> sums(width);
        for (int32_t i = 0; i < count; i++) {
            const float *numbers = token(first + i);
            for (size_t k = 0; k < width; k++) sums[k] += numbers[k];
        }
        for (size_t k = 0; k < width; k++) vector[k] = float(sums[k] / count);
        return true;
    });
}

bool hearth_llama_score(const hearth_llama *llama, int32_t sequence, float *score) {
    return guarded(false, [&] {
        const float *scores = llama_get_embeddings_seq(llama->context.get(), sequence);
        if (!scores) throw std::runtime_error("a document has no score");
        *score = scores[0];
        return true;
    });
}
