// A model with its context as the parts of the shim share it, and how they report errors.
#ifndef HEARTH_MODEL_H
#define HEARTH_MODEL_H

#include "CLlama.h"

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "ChatTemplate.h"
#include "TemplateTokens.h"
#include "WeightsFiles.h"
#include "llama.h"

namespace hearth {

/// Keeps the first error of this thread since it was last cleared: what follows is mostly its consequence.
void noteError(const char *text);
void clearError();

/// While it lives this thread tokenizes: a failed assertion of the library concerns the text alone, and is thrown.
struct TokenizingScope {
    TokenizingScope();
    ~TokenizingScope();
};

/// Writes tokens where there is room for them; returns their number, or minus that number.
int32_t copyOut(const std::vector<llama_token> &from, int32_t *tokens, int32_t capacity);

/// Whether this thread loads an adapter: the library warns of each tensor whose weights it keeps in another order.
extern thread_local bool isLoadingAdapter;

/// Runs `body`; an exception becomes a line in the log, and `failed` is returned.
template <typename Result, typename Body>
Result guarded(Result failed, Body body) noexcept {
    try {
        return body();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "llama.cpp: %s\n", error.what());
        noteError(error.what());
    } catch (...) {
        std::fputs("llama.cpp: an unknown exception\n", stderr);
    }
    return failed;
}

struct ModelDeleter {
    void operator()(llama_model *model) const { llama_model_free(model); }
};
struct ContextDeleter {
    void operator()(llama_context *context) const { llama_free(context); }
};
struct ThreadpoolDeleter {
    void operator()(ggml_threadpool *pool) const { ggml_threadpool_free(pool); }
};
struct SamplerDeleter {
    void operator()(llama_sampler *sampler) const { llama_sampler_free(sampler); }
};

/// A batch of at most `capacity` tokens, each of one sequence.
class Batch {
public:
    explicit Batch(int32_t capacity) : capacity(capacity), batch(llama_batch_init(capacity, 0, 1)) {}
    ~Batch() { llama_batch_free(batch); }
    Batch(const Batch &) = delete;
    Batch &operator=(const Batch &) = delete;

    void clear() { batch.n_tokens = 0; }

    int32_t add(llama_token token, llama_pos position, llama_seq_id sequence, bool wantsLogits) {
        if (batch.n_tokens >= capacity) return -1;
        const int32_t index = batch.n_tokens++;
        batch.token[index] = token;
        batch.pos[index] = position;
        batch.n_seq_id[index] = 1;
        batch.seq_id[index][0] = sequence;
        batch.logits[index] = wantsLogits;
        return index;
    }

    const llama_batch &raw() const { return batch; }

private:
    int32_t capacity;
    llama_batch batch;
};

/// What the adapters of a model add to what llama.cpp reports before it computes with them.
struct AdapterCost {
    /// The longest result of an adapter for one token, in numbers.
    uint64_t widest = 0;
    uint64_t tensors = 0;
};

/// A part of what a reranker reads that its authors wrote: before the query, between it and the document, or behind.
struct RankingPart {
    std::vector<llama_token> tokens;
    /// Whether the text that follows begins with a blank.
    bool endsInBlank = false;
};

/// How the vectors of a text's tokens become one, as the model's file says.
hearth_llama_pooling poolingOf(const llama_model *model);

/// Prepares what a reranker reads around query and document. Throws where its file says something else than that.
void prepareRanking(hearth_llama &llama);

/// Takes over a file of weights that a descriptor has open, and reads its first bytes; returns how many.
size_t openFile(WeightsFiles &files, int descriptor, uint8_t *first, size_t capacity);

/// What the header of a file says; `has_header` is false where it cannot be read.
hearth_llama_file_facts inspectFile(FILE *file);

/// The library's settings for loading a model, however its files are opened.
llama_model_params parameters(hearth_llama_loading loading);

/// Takes over a model that was loaded with those settings. Throws where it does not continue text.
std::unique_ptr<hearth_llama> own(llama_model *model, hearth_llama_loading loading);

}  // namespace hearth

// Members are destroyed from the last to the first: the context before its threads, and all before the model.
struct hearth_llama {
    std::unique_ptr<llama_model, hearth::ModelDeleter> model;
    hearth_llama_loading loading = HEARTH_LLAMA_MEASURED;
    /// Owned by the model.
    std::vector<llama_adapter_lora *> adapters;
    /// The memory for computing with them.
    hearth::AdapterCost adapterCost;
    uint32_t outputs = 0;
    std::unique_ptr<ggml_threadpool, hearth::ThreadpoolDeleter> threads;
    std::unique_ptr<llama_context, hearth::ContextDeleter> context;
    std::unique_ptr<hearth::Batch> batch;
    bool hasSeparateCaches = false;
    /// Whether the context computes vectors or scores.
    bool embeds = false;
    /// Reused by every choice of a token: as long as the vocabulary.
    std::vector<llama_token_data> candidates;
    /// The DRY sampler that was made last, and what of: making one compares each breaker with the whole vocabulary.
    std::unique_ptr<llama_sampler, hearth::SamplerDeleter> dry;
    std::string dryKey;
    std::unique_ptr<hearth::ChatTemplate> chatTemplate;
    std::unique_ptr<hearth::TemplateTokens> templateTokens;
    /// Three of a reranker, none of other models.
    std::vector<hearth::RankingPart> ranking;
    /// Why there is no chat template, although the file holds one.
    std::string templateFlaw;
    /// Asked between the nodes of a graph while a batch is computed.
    bool (*goesOn)(void *) = nullptr;
    void *goesOnContext = nullptr;

    const llama_vocab *vocabulary() const { return llama_model_get_vocab(model.get()); }
    int32_t vocabularySize() const { return llama_vocab_n_tokens(vocabulary()); }
};

#endif
