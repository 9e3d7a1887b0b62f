#include "Answer.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string_view>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "ggml-cpu.h"
#include "llama-ext.h"

#include "hearth-llama-level.h"

using hearth::clearError;
using hearth::guarded;
using hearth::isLoadingAdapter;
using hearth::noteError;

namespace {

/// The first error of the library on this thread since it was last cleared.
thread_local std::string firstError;

/// Whether the batch that this thread computes was cut: messages of the library about that are no errors.
thread_local bool isCut = false;

/// Where warnings go while it is unknown whether they matter; NULL: to standard error.
thread_local std::string *heldWarnings = nullptr;

/// Writes warnings and errors to standard error, which is the backend's log; other messages are dropped.
void logCallback(ggml_log_level level, const char *text, void *) {
    if (isCut) return;
    static thread_local ggml_log_level last = GGML_LOG_LEVEL_NONE;
    // A continuation belongs to the line before it.
    if (level != GGML_LOG_LEVEL_CONT) last = level;
    if (last < (isLoadingAdapter ? GGML_LOG_LEVEL_ERROR : GGML_LOG_LEVEL_WARN)) return;
    if (last == GGML_LOG_LEVEL_WARN && heldWarnings) {
        heldWarnings->append(text);
        return;
    }
    std::fputs(text, stderr);
    if (last == GGML_LOG_LEVEL_ERROR) noteError(text);
}

/// Called with the reason why the library cannot go on.
void (*gaveUpCallback)(const char *) = nullptr;
/// Whether this thread tokenizes. It then only reads what other threads see, so that a failed assertion concerns the
/// text alone.
thread_local bool isTokenizing = false;

/// Called for a failed assertion of the library, which would abort the process, and with it every sequence, for one
/// text.
void abortCallback(const char *message) {
    if (isTokenizing) throw std::runtime_error(message);
    if (gaveUpCallback) gaveUpCallback(message);
}

/// Holds back this thread's warnings.
struct WarningsScope {
    std::string text;
    WarningsScope() { heldWarnings = &text; }
    ~WarningsScope() { heldWarnings = nullptr; }
};

/// The memory of the nodes that compute an adapter's tensor in a graph; there are three graphs.
constexpr uint64_t adapterTensorBytes = 16 << 10;

}  // namespace

thread_local bool hearth::isLoadingAdapter = false;

hearth::TokenizingScope::TokenizingScope() { isTokenizing = true; }
hearth::TokenizingScope::~TokenizingScope() { isTokenizing = false; }

void hearth::noteError(const char *text) {
    if (firstError.empty()) firstError = text;
}

int32_t hearth::copyOut(const std::vector<llama_token> &from, int32_t *tokens, int32_t capacity) {
    if (from.size() > size_t(INT32_MAX)) return HEARTH_LLAMA_FAILED;
    const auto count = int32_t(from.size());
    if (count > capacity) return -count;
    std::copy(from.begin(), from.end(), tokens);
    return count;
}

void hearth::clearError() { firstError.clear(); }

namespace {

/// The memory that llama.cpp allocates for the nodes of a graph, twice: once to compute, once to measure. It does not
/// report it.
constexpr uint64_t graphBytes = 64 << 20;

/// The memory that llama.cpp keeps for each token of a cache, beside keys and values.
constexpr uint64_t cellBytes = 64;

/// A logit beyond this is no sensible value, and becomes infinite when divided by a small temperature.
constexpr float logitMax = 1e30F;

uint32_t longestPiece(const llama_vocab *vocabulary) {
    char text[4096];
    int32_t longest = 1;
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocabulary); token++) {
        const int32_t length = llama_token_to_piece(vocabulary, token, text, sizeof text, 0, true);
        longest = std::max(longest, length < 0 ? -length : length);
    }
    return uint32_t(longest);
}

}  // namespace

const char *hearth_llama_level(void) { return HEARTH_LLAMA_LEVEL; }

const char *hearth_llama_missing_feature(void) {
#if defined(__x86_64__)
    // The library reports the features that it was compiled for, not those of the processor.
    if (ggml_cpu_has_avx() && !__builtin_cpu_supports("avx")) return "AVX";
    if (ggml_cpu_has_avx2() && !__builtin_cpu_supports("avx2")) return "AVX2";
    if (ggml_cpu_has_fma() && !__builtin_cpu_supports("fma")) return "FMA";
    if (ggml_cpu_has_bmi2() && !__builtin_cpu_supports("bmi2")) return "BMI2";
    if (ggml_cpu_has_f16c() && !__builtin_cpu_supports("f16c")) return "F16C";
    if (ggml_cpu_has_avx_vnni() && !__builtin_cpu_supports("avxvnni")) return "AVX-VNNI";
    if (ggml_cpu_has_avx512() && !(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                                   __builtin_cpu_supports("avx512vl"))) return "AVX-512";
    if (ggml_cpu_has_avx512_vbmi() && !__builtin_cpu_supports("avx512vbmi")) return "AVX-512 VBMI";
    if (ggml_cpu_has_avx512_vnni() && !__builtin_cpu_supports("avx512vnni")) return "AVX-512 VNNI";
    if (ggml_cpu_has_avx512_bf16() && !__builtin_cpu_supports("avx512bf16")) return "AVX-512 BF16";
    if (ggml_cpu_has_amx_int8() && !__builtin_cpu_supports("amx-int8")) return "AMX";
#endif
    return nullptr;
}

const char *hearth_llama_version(void) {
    static const std::string version = std::string(llama_version()) + " " + HEARTH_LLAMA_LEVEL;
    return version.c_str();
}

void hearth_llama_begin(void (*gaveUp)(const char *)) {
    // A failed assertion of ggml would fork a debugger; the sandbox has none.
    setenv("GGML_NO_BACKTRACE", "1", 1);
    // Dates in chat templates are UTC's: glibc would open the file of the machine's time zone, and the sandbox has none.
    setenv("TZ", "UTC0", 1);
    llama_log_set(logCallback, nullptr);
    gaveUpCallback = gaveUp;
    ggml_set_abort_callback(abortCallback);
}

void hearth_llama_first_error(char *text, size_t capacity) {
    if (capacity > 0) std::snprintf(text, capacity, "%s", firstError.c_str());
}

hearth_llama_facts hearth_llama_get_facts(const hearth_llama *llama) {
    return guarded<hearth_llama_facts>({}, [&] {
        hearth_llama_facts facts{};
        facts.context_tokens = uint32_t(std::max(0, llama_model_n_ctx_train(llama->model.get())));
        facts.vocabulary = uint32_t(llama->vocabularySize());
        facts.weights_bytes = llama_model_size(llama->model.get());
        facts.parameters = llama_model_n_params(llama->model.get());
        facts.longest_piece_bytes = longestPiece(llama->vocabulary());
        facts.splits_text = llama_vocab_type(llama->vocabulary()) == LLAMA_VOCAB_TYPE_BPE;
        facts.has_chat_template = llama->chatTemplate != nullptr;
        facts.forgets_last =
            !llama_model_is_recurrent(llama->model.get()) && !llama_model_is_hybrid(llama->model.get());
        const llama_vocab *vocabulary = llama->vocabulary();
        facts.end_token = llama_vocab_get_add_eos(vocabulary)   ? llama_vocab_eos(vocabulary)
                          : llama_vocab_get_add_sep(vocabulary) ? llama_vocab_sep(vocabulary)
                                                                : LLAMA_TOKEN_NULL;
        facts.pooling = hearth::poolingOf(llama->model.get());
        facts.embedding_numbers = uint32_t(std::max(0, llama_model_n_embd_out(llama->model.get())));
        return facts;
    });
}

hearth_llama_sampling hearth_llama_default_sampling(const hearth_llama *llama) {
    hearth_llama_sampling sampling{};
    sampling.repetition_penalty = 1;
    sampling.penalty_window = 64;
    sampling.dry_base = 1.75F;
    sampling.dry_allowed_length = 2;
    sampling.dry_window = INT32_MAX;
    sampling.typical_p = 1;
    sampling.xtc_threshold = 0.1F;
    sampling.top_k = 40;
    sampling.top_p = 0.95F;
    sampling.min_p = 0.05F;
    sampling.temperature = 0.8F;
    auto value = [llama](llama_model_meta_key key, auto &setting) {
        char text[64];
        const int32_t length =
            llama_model_meta_val_str(llama->model.get(), llama_model_meta_key_str(key), text, sizeof text);
        if (length <= 0) return;
        char *end = nullptr;
        const float number = std::strtof(text, &end);
        if (end != text && std::isfinite(number) && std::fabs(number) < 1e6F) setting = number;
    };
    value(LLAMA_MODEL_META_KEY_SAMPLING_PENALTY_LAST_N, sampling.penalty_window);
    // For the library a negative one is the whole context.
    if (sampling.penalty_window < 0) sampling.penalty_window = INT32_MAX;
    value(LLAMA_MODEL_META_KEY_SAMPLING_XTC_PROBABILITY, sampling.xtc_probability);
    value(LLAMA_MODEL_META_KEY_SAMPLING_XTC_THRESHOLD, sampling.xtc_threshold);
    value(LLAMA_MODEL_META_KEY_SAMPLING_TOP_K, sampling.top_k);
    value(LLAMA_MODEL_META_KEY_SAMPLING_TOP_P, sampling.top_p);
    value(LLAMA_MODEL_META_KEY_SAMPLING_MIN_P, sampling.min_p);
    value(LLAMA_MODEL_META_KEY_SAMPLING_TEMP, sampling.temperature);
    value(LLAMA_MODEL_META_KEY_SAMPLING_PENALTY_REPEAT, sampling.repetition_penalty);
    return sampling;
}

size_t hearth_llama_metadata(const hearth_llama *llama, const char *key, char *text, size_t capacity) {
    return guarded<size_t>(0, [&] {
        const int32_t length = llama_model_meta_val_str(llama->model.get(), key, text, capacity);
        return length < 0 ? 0 : std::min(size_t(length), capacity > 0 ? capacity - 1 : 0);
    });
}

size_t hearth_llama_quantisation(const hearth_llama *llama, char *text, size_t capacity) {
    return guarded<size_t>(0, [&]() -> size_t {
        // "ARCHITECTURE SIZE QUANTISATION"; the first two are words.
        char description[128];
        llama_model_desc(llama->model.get(), description, sizeof description);
        std::string_view rest(description);
        for (int word = 0; word < 2; word++) {
            const size_t blank = rest.find(' ');
            rest.remove_prefix(blank == rest.npos ? rest.size() : blank + 1);
        }
        if (capacity == 0) return 0;
        const size_t length = rest.copy(text, capacity - 1);
        text[length] = 0;
        return length;
    });
}

hearth_llama_needs hearth_llama_get_needs(const hearth_llama *llama) {
    return guarded<hearth_llama_needs>({}, [&] {
        hearth_llama_needs needs{};
        for (const auto &[kind, data] : llama_get_memory_breakdown(llama->context.get())) {
            // Buffers of other kinds hold weights only.
            if (kind != ggml_backend_cpu_buffer_type()) needs.reordered_weights_bytes += data.model;
            needs.context_bytes += data.context + data.compute;
        }
        needs.context_bytes += uint64_t(llama_n_ctx(llama->context.get())) * cellBytes;
        // The kept logits, and the graphs themselves.
        needs.context_bytes += uint64_t(llama->vocabularySize()) * sizeof(float) * llama->outputs;
        needs.context_bytes += graphBytes;
        if (llama->embeds) {
            needs.context_bytes +=
                uint64_t(std::max(0, llama_model_n_embd_out(llama->model.get()))) * sizeof(float) * llama->outputs;
        }
        // A result of an adapter, and its sum with that of the weights.
        needs.context_bytes += llama->adapterCost.widest * sizeof(float) * 2 * llama_n_batch(llama->context.get());
        needs.context_bytes += llama->adapterCost.tensors * adapterTensorBytes;
        return needs;
    });
}

bool hearth_llama_has_room(uint64_t bytes) {
    struct sysinfo machine {};
    // If a policy forbids the call, the limits of the process decide alone.
    if (sysinfo(&machine) == 0 && bytes > uint64_t(machine.totalram) * machine.mem_unit) return false;
    if (bytes > SIZE_MAX / 2) return false;
    // No page is touched: this only checks the limits (RLIMIT_DATA, RLIMIT_AS) and the kernel's accounting.
    void *memory = mmap(nullptr, size_t(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    munmap(memory, size_t(bytes));
    return true;
}

uint64_t hearth_llama_memory_limit(void) {
    struct rlimit data {};
    if (getrlimit(RLIMIT_DATA, &data) != 0 || data.rlim_cur == RLIM_INFINITY) return 0;
    return data.rlim_cur;
}

uint64_t hearth_llama_stack_bytes(void) {
    pthread_attr_t attributes;
    size_t bytes = 8 << 20;
    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_getstacksize(&attributes, &bytes);
        pthread_attr_destroy(&attributes);
    }
    return bytes;
}

static ggml_type cacheType(const char *name) {
    for (int type = 0; name && type < GGML_TYPE_COUNT; type++) {
        const char *other = ggml_type_name(ggml_type(type));
        if (other && std::strcmp(name, other) == 0) return ggml_type(type);
    }
    return GGML_TYPE_F16;
}

bool hearth_llama_prepare(hearth_llama *llama, hearth_llama_context_settings settings) {
    return guarded(false, [&] {
        llama->batch.reset();
        llama->context.reset();
        llama->threads.reset();
        llama_context_params parameters = llama_context_default_params();
        parameters.n_ctx = settings.cells;
        parameters.n_batch = settings.batch_tokens;
        parameters.n_ubatch = settings.batch_tokens;
        parameters.n_seq_max = settings.sequences;
        // Only the last token of a sequence in a batch, and those drafted behind it, have their logits computed.
        llama->outputs = std::min(settings.sequences + settings.drafted_tokens, settings.batch_tokens);
        parameters.n_outputs_max = llama->outputs;
        parameters.n_threads = int32_t(settings.threads);
        parameters.n_threads_batch = int32_t(settings.threads);
        parameters.kv_unified = !settings.separate_caches;
        llama->embeds = settings.embeds;
        if (settings.embeds) {
            parameters.embeddings = true;
            // Vectors are pooled here, as each request wants it; a head for scores needs its own pooling.
            const bool ranks = hearth::poolingOf(llama->model.get()) == HEARTH_LLAMA_RANK;
            parameters.pooling_type = ranks ? LLAMA_POOLING_TYPE_RANK : LLAMA_POOLING_TYPE_NONE;
            // llama.cpp gives out every token then.
            llama->outputs = settings.batch_tokens;
            parameters.n_outputs_max = llama->outputs;
        }
        parameters.type_k = parameters.type_v = cacheType(settings.cache_type);
        llama->hasSeparateCaches = settings.separate_caches;
        parameters.no_perf = true;
        parameters.abort_callback_data = llama;
        parameters.abort_callback = [](void *user) {
            auto *llama = static_cast<hearth_llama *>(user);
            isCut = llama->goesOn && !llama->goesOn(llama->goesOnContext);
            return isCut;
        };
        clearError();
        {
            // That the pooling is not the model's own is nothing unusual.
            const WarningsScope warnings;
            llama->context.reset(llama_init_from_model(llama->model.get(), parameters));
            if (!llama->context || !settings.embeds) std::fputs(warnings.text.c_str(), stderr);
        }
        if (!llama->context) return false;
        if (!settings.embeds && !llama_get_memory(llama->context.get())) {
            noteError("the model continues no text, and its file names no pooling for vectors");
            llama->context.reset();
            return false;
        }
        if (settings.threads > 1) {
            // Without a pool of ours ggml makes one for each batch, and its threads spin while they wait.
            ggml_threadpool_params pool = ggml_threadpool_params_default(int(settings.threads));
            pool.poll = 0;
            llama->threads.reset(ggml_threadpool_new(&pool));
            if (!llama->threads) return false;
            llama_attach_threadpool(llama->context.get(), llama->threads.get(), llama->threads.get());
        }
        // More than this in one batch ends the process.
        const uint32_t most = llama_n_batch(llama->context.get());
        llama->batch = std::make_unique<hearth::Batch>(int32_t(std::min(settings.batch_tokens, most)));
        return true;
    });
}

int32_t hearth_llama_tokenize(const hearth_llama *llama, const char *text, size_t bytes, bool adds_special,
                              int32_t *tokens, int32_t capacity) {
    clearError();
    return guarded(int32_t(HEARTH_LLAMA_FAILED), [&] {
        const hearth::TokenizingScope scope;
        std::vector<llama_token> ids;
        hearth::tokenize(llama->vocabulary(), std::string(text, bytes), adds_special, false, ids);
        return hearth::copyOut(ids, tokens, capacity);
    });
}

int32_t hearth_llama_token_text(const hearth_llama *llama, int32_t token, char *text, int32_t capacity) {
    return guarded(int32_t(0), [&] {
        return std::max(0, llama_token_to_piece(llama->vocabulary(), token, text, capacity, 0, true));
    });
}

size_t hearth_llama_template_flaw(const hearth_llama *llama, char *text, size_t capacity) {
    if (capacity == 0) return 0;
    std::snprintf(text, capacity, "%s", llama->templateFlaw.c_str());
    return std::strlen(text);
}

bool hearth_llama_join(pthread_t thread) { return pthread_tryjoin_np(thread, nullptr) == 0; }

bool hearth_llama_ends_turn(const hearth_llama *llama, int32_t token) {
    return llama_vocab_is_eog(llama->vocabulary(), token);
}

void hearth_llama_batch_clear(hearth_llama *llama) { llama->batch->clear(); }

int32_t hearth_llama_batch_add(hearth_llama *llama, int32_t token, int32_t position, int32_t sequence,
                               bool wants_logits) {
    return llama->batch->add(token, position, sequence, wants_logits);
}

int32_t hearth_llama_decode(hearth_llama *llama, bool (*goesOn)(void *), void *context) {
    return guarded(int32_t(HEARTH_LLAMA_FAILED), [&] {
        llama->goesOn = goesOn;
        llama->goesOnContext = context;
        clearError();
        const WarningsScope warnings;
        const int32_t result = llama_decode(llama->context.get(), llama->batch->raw());
        llama->goesOn = nullptr;
        isCut = false;
        // That there was no room is nothing unusual: others give way.
        if (result != HEARTH_LLAMA_NO_ROOM) std::fputs(warnings.text.c_str(), stderr);
        return result;
    });
}

bool hearth_llama_forget(hearth_llama *llama, int32_t sequence, int32_t from_position) {
    return guarded(false, [&] {
        llama_memory_t memory = llama_get_memory(llama->context.get());
        if (llama_memory_seq_rm(memory, sequence, from_position, -1)) return true;
        llama_memory_seq_rm(memory, sequence, -1, -1);
        return false;
    });
}

bool hearth_llama_copy(hearth_llama *llama, int32_t from, int32_t to, int32_t tokens) {
    return guarded(false, [&] {
        llama_memory_t memory = llama_get_memory(llama->context.get());
        llama_memory_seq_rm(memory, to, -1, -1);
        // Separate caches are copied whole, at the next decode; a shared one only notes that both have the tokens.
        llama_memory_seq_cp(memory, from, to, -1, llama->hasSeparateCaches ? -1 : tokens);
        // A state that cannot be cut, such as a recurrent one, is of no use.
        const bool isCut = llama_memory_seq_rm(memory, to, tokens, -1);
        if (isCut && llama_memory_seq_pos_max(memory, to) == tokens - 1) return true;
        llama_memory_seq_rm(memory, to, -1, -1);
        return false;
    });
}

// Takes breakers as tokens; the library declares it in no header that it installs.
llama_sampler *llama_sampler_init_dry_testing(float multiplier, float base, int32_t allowedLength, int32_t window,
                                              const std::vector<std::vector<llama_token>> &breakers);

namespace {

/// The sequences of tokens in which a text may stand, for DRY: a token that contains it, or one that its beginning ends and
/// the tokens of its rest. The library tokenizes the rest anew for every token, which takes a second for some texts.
void addBreaker(const llama_vocab *vocabulary, const std::string &text, std::vector<std::vector<llama_token>> &sequences) {
    // By the length of the beginning; empty: not asked for yet.
    std::vector<std::vector<llama_token>> rests(text.size());
    char buffer[1024];
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocabulary); token++) {
        const int32_t length = llama_token_to_piece(vocabulary, token, buffer, sizeof buffer, 0, true);
        if (length <= 0) continue;
        const std::string_view piece(buffer, size_t(length));
        if (piece.find(text) != std::string_view::npos) {
            sequences.push_back({token});
            continue;
        }
        for (size_t begun = std::min(piece.size(), text.size() - 1); begun > 0; begun--) {
            if (piece.substr(piece.size() - begun) != std::string_view(text).substr(0, begun)) continue;
            auto &rest = rests[begun];
            if (rest.empty()) {
                rest.resize(64);
                const int32_t count = llama_tokenize(vocabulary, text.data() + begun, int32_t(text.size() - begun),
                                                     rest.data(), int32_t(rest.size()), false, false);
                rest.resize(size_t(std::clamp(count, 0, 64)));
            }
            if (rest.empty()) continue;
            sequences.push_back({token});
            sequences.back().insert(sequences.back().end(), rest.begin(), rest.end());
        }
    }
}

/// A DRY sampler: a copy of the one that was made last, where that is of the same settings.
llama_sampler *newDry(hearth_llama *llama, const hearth_llama_sampling &sampling, const hearth_llama_choices &choices) {
    std::string key;
    const auto add = [&key](const void *bytes, size_t count) { key.append(static_cast<const char *>(bytes), count); };
    add(&sampling.dry_multiplier, sizeof sampling.dry_multiplier);
    add(&sampling.dry_base, sizeof sampling.dry_base);
    add(&sampling.dry_allowed_length, sizeof sampling.dry_allowed_length);
    add(&sampling.dry_window, sizeof sampling.dry_window);
    for (size_t i = 0; i < choices.breaker_count; i++) add(choices.breakers[i], std::strlen(choices.breakers[i]) + 1);
    if (!llama->dry || llama->dryKey != key) {
        std::vector<std::vector<llama_token>> sequences;
        for (size_t i = 0; i < choices.breaker_count; i++) {
            if (*choices.breakers[i]) addBreaker(llama->vocabulary(), choices.breakers[i], sequences);
        }
        // The latter warns where there are none.
        llama->dry.reset(sequences.empty()
                             ? llama_sampler_init_dry(llama->vocabulary(), sampling.dry_multiplier, sampling.dry_base,
                                                      sampling.dry_allowed_length, sampling.dry_window, nullptr, 0)
                             : llama_sampler_init_dry_testing(sampling.dry_multiplier, sampling.dry_base,
                                                              sampling.dry_allowed_length, sampling.dry_window,
                                                              sequences));
        llama->dryKey = key;
    }
    return llama_sampler_clone(llama->dry.get());
}

/// Leaves only tokens with a probability: the library's typical_p takes the logarithm of each.
void dropImpossible(llama_sampler *, llama_token_data_array *candidates) {
    float most = -INFINITY;
    for (size_t i = 0; i < candidates->size; i++) most = std::max(most, candidates->data[i].logit);
    // exp(-80) is well within a float.
    llama_token_data *end = std::remove_if(candidates->data, candidates->data + candidates->size,
                                           [most](const llama_token_data &token) { return !(token.logit >= most - 80); });
    candidates->size = size_t(end - candidates->data);
}

llama_sampler *newImpossibleDropper() {
    static llama_sampler_i interface = [] {
        llama_sampler_i functions{};
        functions.name = [](const llama_sampler *) { return "drop-impossible"; };
        functions.apply = dropImpossible;
        return functions;
    }();
    return llama_sampler_init(&interface, nullptr);
}

}  // namespace

hearth_llama_sampler *hearth_llama_sampler_new(hearth_llama *llama, hearth_llama_sampling sampling,
                                               hearth_llama_choices choices) {
    return guarded<hearth_llama_sampler *>(nullptr, [&] {
        auto sampler = std::make_unique<hearth_llama_sampler>();
        sampler->chain.reset(llama_sampler_chain_init({/* no_perf */ true}));
        llama_sampler *chain = sampler->chain.get();
        if (choices.tokens_min > 0) {
            const llama_vocab *vocabulary = llama->vocabulary();
            const int32_t size = llama->vocabularySize();
            for (llama_token token = 0; token < size; token++) {
                if (llama_vocab_is_eog(vocabulary, token)) sampler->ends.push_back(token);
            }
            for (size_t i = 0; i < choices.end_count; i++) {
                if (choices.ends[i] < uint32_t(size)) sampler->ends.push_back(llama_token(choices.ends[i]));
            }
            sampler->heldBack = choices.tokens_min;
        }
        if (choices.bias_count > 0) {
            std::vector<llama_logit_bias> biases;
            for (size_t i = 0; i < choices.bias_count; i++) {
                biases.push_back({choices.biases[i].token, choices.biases[i].bias});
            }
            llama_sampler_chain_add(
                chain, llama_sampler_init_logit_bias(llama->vocabularySize(), int32_t(biases.size()), biases.data()));
        }
        const bool penalizes =
            sampling.repetition_penalty != 1 || sampling.frequency_penalty != 0 || sampling.presence_penalty != 0;
        if (penalizes && sampling.penalty_window > 0) {
            llama_sampler_chain_add(
                chain, llama_sampler_init_penalties(llama->vocabularySize(), sampling.penalty_window,
                                                    sampling.repetition_penalty, sampling.frequency_penalty,
                                                    sampling.presence_penalty));
        }
        if (sampling.dry_multiplier > 0 && sampling.dry_window > 0) {
            llama_sampler_chain_add(chain, newDry(llama, sampling, choices));
        }
        if (sampling.temperature <= 0) {
            llama_sampler_chain_add(chain, llama_sampler_init_greedy());
            return sampler.release();
        }
        if (sampling.top_n_sigma > 0) {
            llama_sampler_chain_add(chain, llama_sampler_init_top_n_sigma(sampling.top_n_sigma));
        }
        llama_sampler_chain_add(chain, llama_sampler_init_top_k(sampling.top_k));
        if (sampling.typical_p < 1) {
            llama_sampler_chain_add(chain, newImpossibleDropper());
            llama_sampler_chain_add(chain, llama_sampler_init_typical(sampling.typical_p, 1));
        }
        llama_sampler_chain_add(chain, llama_sampler_init_top_p(sampling.top_p, 1));
        llama_sampler_chain_add(chain, llama_sampler_init_min_p(sampling.min_p, 1));
        if (sampling.xtc_probability > 0) {
            llama_sampler_chain_add(
                chain, llama_sampler_init_xtc(sampling.xtc_probability, sampling.xtc_threshold, 1, sampling.seed));
        }
        llama_sampler_chain_add(chain, llama_sampler_init_temp(sampling.temperature));
        llama_sampler_chain_add(chain, llama_sampler_init_dist(sampling.seed));
        return sampler.release();
    });
}

void hearth_llama_sampler_free(hearth_llama_sampler *sampler) { delete sampler; }

void hearth_llama_sampler_accept(hearth_llama_sampler *sampler, int32_t token) {
    guarded(0, [&] {
        llama_sampler_accept(sampler->chain.get(), token);
        return 0;
    });
}

namespace {

/// Runs `body`; what goes wrong with a grammar becomes a code.
template <typename Body>
int32_t guardedHold(Body body) {
    return guarded(int32_t(HEARTH_LLAMA_FAILED), [&]() -> int32_t {
        try {
            return body();
        } catch (const hearth::HoldFailure &failure) {
            switch (failure.kind) {
            case hearth::HoldFailure::Kind::refused: return HEARTH_LLAMA_GRAMMAR_REFUSED;
            case hearth::HoldFailure::Kind::unfit: return HEARTH_LLAMA_GRAMMAR_UNFIT;
            case hearth::HoldFailure::Kind::exceeds: return HEARTH_LLAMA_GRAMMAR_EXCEEDS;
            }
            throw;
        }
    });
}

}  // namespace

int32_t hearth_llama_hold(const hearth_llama *llama, hearth_llama_sampler *sampler, const char *grammar, const char *given,
                          size_t given_bytes) {
    clearError();
    return guardedHold([&] {
        const std::string before(given ? given : "", given_bytes);
        sampler->hold = std::make_unique<hearth::TextHold>(llama->vocabulary(), grammar);
        sampler->hold->begin(before);
        return 0;
    });
}

bool hearth_llama_hold_calls(hearth_llama_sampler *sampler, hearth_llama_answer *answer) {
    if (!answer->hold) return false;
    return guarded(false, [&] {
        if (answer->format->callWords().empty()) {
            sampler->hold = std::move(answer->hold);
        } else {
            sampler->later.emplace(hearth_llama_sampler::Later{
                answer->format->trigger(), std::move(answer->hold), answer->marks});
        }
        return true;
    });
}

bool hearth_llama_is_over(const hearth_llama_sampler *sampler) { return sampler->hold && sampler->hold->isOver(); }

namespace {

/// Takes the logits over as candidates, but for tokens that end a completion too early. Returns 0 or a code.
int32_t takeLogits(hearth_llama &llama, const hearth_llama_sampler &sampler, const float *logits) {
    auto &candidates = llama.candidates;
    bool isAnyLikely = false;
    for (size_t token = 0; token < candidates.size(); token++) {
        const float logit = logits[token];
        // Minus infinity is what masks a token. The comparison is false for what is not a number.
        if (!(logit <= logitMax)) return HEARTH_LLAMA_NOT_A_NUMBER;
        isAnyLikely |= logit >= -logitMax;
        candidates[token] = {llama_token(token), logit, 0};
    }
    if (!isAnyLikely) return HEARTH_LLAMA_NOT_A_NUMBER;
    if (sampler.heldBack == 0) return 0;
    for (const llama_token token : sampler.ends) candidates[size_t(token)].logit = -INFINITY;
    const bool isAnyLeft = std::any_of(candidates.begin(), candidates.end(),
                                       [](const llama_token_data &token) { return token.logit >= -logitMax; });
    return isAnyLeft ? 0 : HEARTH_LLAMA_FAILED;
}

/// Chooses among the candidates; a token or HEARTH_LLAMA_FAILED.
int32_t choose(hearth_llama &llama, const hearth_llama_sampler &sampler) {
    llama_token_data_array choice{llama.candidates.data(), llama.candidates.size(), -1, false};
    llama_sampler_apply(sampler.chain.get(), &choice);
    if (choice.selected < 0 || size_t(choice.selected) >= choice.size) return HEARTH_LLAMA_FAILED;
    return choice.data[choice.selected].id;
}

/// Where the token begins a call, its text is held from there on.
void lookForCall(const llama_vocab *vocabulary, hearth_llama_sampler &sampler, llama_token token) {
    const auto &marks = sampler.later->marks;
    char text[1024];
    const bool isMark = std::find(marks.begin(), marks.end(), token) != marks.end();
    const int32_t length = llama_token_to_piece(vocabulary, token, text, sizeof text, 0, isMark);
    if (length <= 0) return;
    const auto given = sampler.later->trigger.append(std::string(text, size_t(length)));
    if (!given) return;
    auto hold = std::move(sampler.later->hold);
    sampler.later.reset();
    try {
        hold->begin(*given);
        sampler.hold = std::move(hold);
    } catch (const hearth::HoldFailure &) {
        // What its token says behind the word is no call.
    }
}

}  // namespace

int32_t hearth_llama_sample(hearth_llama *llama, hearth_llama_sampler *sampler, int32_t index) {
    return guardedHold([&]() -> int32_t {
        const float *logits = llama_get_logits_ith(llama->context.get(), index);
        if (!logits) return HEARTH_LLAMA_FAILED;
        if (const int32_t code = takeLogits(*llama, *sampler, logits)) return code;
        int32_t token = choose(*llama, *sampler);
        if (token < 0) return token;
        hearth::TextHold *hold = sampler->hold.get();
        // Most tokens are those that the model would have chosen anyway; looking at all of them takes much longer.
        if (hold && !hold->allows(token)) {
            takeLogits(*llama, *sampler, logits);
            if (!hold->mask(llama->candidates)) {
                return hold->mayEnd() ? HEARTH_LLAMA_GRAMMAR_OVER : HEARTH_LLAMA_GRAMMAR_STUCK;
            }
            token = choose(*llama, *sampler);
            if (token < 0) return token;
            if (!hold->allows(token)) return HEARTH_LLAMA_FAILED;
        }
        if (hold) hold->accept(token);
        if (sampler->later) lookForCall(llama->vocabulary(), *sampler, token);
        if (sampler->heldBack > 0) sampler->heldBack--;
        llama_sampler_accept(sampler->chain.get(), token);
        return token;
    });
}

size_t hearth_llama_logprobs(const hearth_llama *llama, int32_t index, int32_t token, hearth_llama_likely *likely,
                             size_t capacity) {
    return guarded<size_t>(0, [&]() -> size_t {
        const float *logits = llama_get_logits_ith(llama->context.get(), index);
        const auto size = size_t(llama->vocabularySize());
        if (!logits || capacity == 0 || token < 0 || size_t(token) >= size) return 0;
        const float most = *std::max_element(logits, logits + size);
        double sum = 0;
        for (size_t i = 0; i < size; i++) sum += std::exp(logits[i] - most);
        const double all = double(most) + std::log(sum);
        const auto logprob = [&](llama_token of) {
            // A chosen token that the model held for impossible has a number nevertheless.
            return std::clamp(float(double(logits[of]) - all), -logitMax, 0.0F);
        };
        likely[0] = {token, logprob(token)};
        // A heap of the likeliest so far, the least likely of them at its front; of tokens that are as likely, the lower one
        // comes first.
        const auto isLikelier = [&](llama_token one, llama_token other) {
            return logits[one] != logits[other] ? logits[one] > logits[other] : one < other;
        };
        std::vector<llama_token> heap;
        for (size_t i = 0; capacity > 1 && i < size; i++) {
            const auto next = llama_token(i);
            if (!(logits[i] >= -logitMax)) continue;
            if (heap.size() == capacity - 1) {
                if (!isLikelier(next, heap.front())) continue;
                std::pop_heap(heap.begin(), heap.end(), isLikelier);
                heap.pop_back();
            }
            heap.push_back(next);
            std::push_heap(heap.begin(), heap.end(), isLikelier);
        }
        std::sort_heap(heap.begin(), heap.end(), isLikelier);
        for (size_t i = 0; i < heap.size(); i++) likely[i + 1] = {heap[i], logprob(heap[i])};
        return heap.size() + 1;
    });
}
