#include "Model.h"

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
