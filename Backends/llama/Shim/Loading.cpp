// Opening and loading the files of a model and of its adapters.
#include "Model.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include <sys/stat.h>

#include "gguf.h"
#include "llama-ext.h"

using hearth::clearError;
using hearth::guarded;
using hearth::isLoadingAdapter;
using hearth::weights;

namespace {

/// The files of the adapters, from their opening until they are loaded.
hearth::WeightsFiles adapterFiles;

/// Prepares a chat template; NULL: that of the model's file.
void prepareTemplate(hearth_llama &llama, const char *source) {
    if (!source) source = llama_model_chat_template(llama.model.get(), nullptr);
    if (!source) return;
    const llama_vocab *vocabulary = llama.vocabulary();
    try {
        llama.templateTokens = std::make_unique<hearth::TemplateTokens>(vocabulary);
        llama.chatTemplate = std::make_unique<hearth::ChatTemplate>(
            source, hearth::tokenText(vocabulary, llama_vocab_bos(vocabulary)),
            hearth::tokenText(vocabulary, llama_vocab_eos(vocabulary)), llama.templateTokens->texts());
    } catch (const hearth::TemplateFailure &failure) {
        llama.templateFlaw = failure.what();
    }
}

/// The text of a key; empty where it has none.
std::string textOf(const gguf_context *header, const char *key) {
    const int64_t index = gguf_find_key(header, key);
    return index >= 0 && gguf_get_kv_type(header, index) == GGUF_TYPE_STRING ? gguf_get_val_str(header, index) : "";
}

/// The cost of an adapter, from the shapes in its header.
void addCost(hearth::AdapterCost &cost, FILE *file) {
    ggml_context *shapes = nullptr;
    rewind(file);
    std::unique_ptr<gguf_context, void (*)(gguf_context *)> header(
        gguf_init_from_file_ptr(file, {/* no_alloc */ true, &shapes}), gguf_free);
    const std::unique_ptr<ggml_context, void (*)(ggml_context *)> owner(shapes, ggml_free);
    if (!header) return;
    for (ggml_tensor *tensor = ggml_get_first_tensor(shapes); tensor; tensor = ggml_get_next_tensor(shapes, tensor)) {
        cost.tensors++;
        const std::string_view name = ggml_get_name(tensor);
        // Logits are computed for few tokens.
        if (name.rfind("output.", 0) == 0) continue;
        if (name.rfind(".lora_b") != name.npos) cost.widest = std::max(cost.widest, uint64_t(tensor->ne[1]));
    }
}

}  // namespace

size_t hearth::openFile(WeightsFiles &files, int descriptor, uint8_t *first, size_t capacity) {
    clearError();
    return guarded<size_t>(0, [&]() -> size_t {
        // Reads and seeks, which every policy allows; pread and dup some do not.
        FILE *file = fdopen(descriptor, "rb");
        if (!file) throw std::runtime_error(std::string("the weights cannot be read: ") + std::strerror(errno));
        files.add(file);
        rewind(file);
        const size_t count = std::fread(first, 1, capacity, file);
        if (std::ferror(file)) {
            throw std::runtime_error(std::string("the weights cannot be read: ") + std::strerror(errno));
        }
        return count;
    });
}

size_t hearth_llama_open(int descriptor, uint8_t *first, size_t capacity) {
    if (weights.empty()) llama_backend_init();
    return hearth::openFile(weights, descriptor, first, capacity);
}

size_t hearth_llama_open_adapter(int descriptor, uint8_t *first, size_t capacity) {
    return hearth::openFile(adapterFiles, descriptor, first, capacity);
}

hearth_llama_file_facts hearth::inspectFile(FILE *file) {
    hearth_llama_file_facts facts{};
    facts.parts = 1;
    clearError();
    return guarded(facts, [&] {
        struct stat status {};
        if (!file || fstat(fileno(file), &status) != 0) return facts;
        facts.bytes = uint64_t(status.st_size);
        rewind(file);
        std::unique_ptr<gguf_context, void (*)(gguf_context *)> header(
            gguf_init_from_file_ptr(file, {/* no_alloc */ true, /* ctx */ nullptr}), gguf_free);
        if (!header) return facts;
        // Tensors are mapped where they lie in the file.
        const size_t alignment = ggml_backend_buft_get_alignment(ggml_backend_cpu_buffer_type());
        if (gguf_get_data_offset(header.get()) % alignment != 0) {
            throw std::runtime_error("the tensors begin at byte " + std::to_string(gguf_get_data_offset(header.get())) +
                                     " of the file, which is no multiple of " + std::to_string(alignment));
        }
        facts.has_header = true;
        facts.is_adapter = textOf(header.get(), "general.type") == "adapter";
        std::snprintf(facts.architecture, sizeof facts.architecture, "%s",
                      textOf(header.get(), "general.architecture").c_str());
        facts.wanted_bytes = gguf_get_data_offset(header.get());
        for (int64_t i = 0; i < gguf_get_n_tensors(header.get()); i++) {
            const uint64_t end = gguf_get_data_offset(header.get()) + gguf_get_tensor_offset(header.get(), i) +
                                 gguf_get_tensor_size(header.get(), i);
            facts.wanted_bytes = std::max(facts.wanted_bytes, end);
        }
        // As llama-gguf-split writes them.
        facts.tensors = uint64_t(gguf_get_n_tensors(header.get()));
        facts.all_tensors = facts.tensors;
        const int64_t count = gguf_find_key(header.get(), "split.count");
        if (count >= 0 && gguf_get_kv_type(header.get(), count) == GGUF_TYPE_UINT16) {
            facts.parts = std::max<uint32_t>(1, gguf_get_val_u16(header.get(), count));
        }
        const int64_t number = gguf_find_key(header.get(), "split.no");
        if (number >= 0 && gguf_get_kv_type(header.get(), number) == GGUF_TYPE_UINT16) {
            facts.part = gguf_get_val_u16(header.get(), number);
        }
        const int64_t all = gguf_find_key(header.get(), "split.tensors.count");
        if (facts.parts > 1 && all >= 0 && gguf_get_kv_type(header.get(), all) == GGUF_TYPE_INT32) {
            facts.all_tensors = uint64_t(std::max<int32_t>(0, gguf_get_val_i32(header.get(), all)));
        }
        return facts;
    });
}

hearth_llama_file_facts hearth_llama_inspect(size_t part) { return hearth::inspectFile(weights.file(part)); }

hearth_llama_file_facts hearth_llama_inspect_adapter(size_t adapter) {
    return hearth::inspectFile(adapterFiles.file(adapter));
}

llama_model_params hearth::parameters(hearth_llama_loading loading) {
    llama_model_params parameters = llama_model_default_params();
    parameters.n_gpu_layers = 0;
    parameters.use_extra_bufts = loading != HEARTH_LLAMA_MAPPED;
    if (loading == HEARTH_LLAMA_MEASURED) {
        parameters.no_alloc = true;
        parameters.load_mode = LLAMA_LOAD_MODE_NONE;
    }
    return parameters;
}

std::unique_ptr<hearth_llama> hearth::own(llama_model *model, hearth_llama_loading loading) {
    auto llama = std::make_unique<hearth_llama>();
    llama->model.reset(model);
    llama->loading = loading;
    if (!llama_model_has_decoder(model) || llama_model_has_encoder(model)) {
        throw std::runtime_error("the model does not continue text");
    }
    return llama;
}

hearth_llama *hearth_llama_load(hearth_llama_loading loading, const char *chat_template,
                                void (*progress)(float, void *), void *context) {
    struct Progress {
        void (*tell)(float, void *);
        void *context;
    } teller{progress, context};
    clearError();
    return guarded<hearth_llama *>(nullptr, [&]() -> hearth_llama * {
        if (weights.empty()) throw std::runtime_error("no weights were opened");
        llama_model_params parameters = hearth::parameters(loading);
        parameters.progress_callback_user_data = &teller;
        parameters.progress_callback = [](float fraction, void *user) {
            auto *teller = static_cast<Progress *>(user);
            teller->tell(fraction, teller->context);
            return true;
        };
        std::vector<const char *> names = weights.names();
        llama_model *model = llama_model_load_from_splits(names.data(), names.size(), parameters);
        if (!model) return nullptr;
        auto llama = hearth::own(model, loading);
        // Mapped weights need no open file.
        if (loading != HEARTH_LLAMA_MEASURED) weights.close();
        llama->candidates.resize(size_t(llama->vocabularySize()));
        prepareTemplate(*llama, chat_template);
        if (hearth::poolingOf(model) == HEARTH_LLAMA_RANK) hearth::prepareRanking(*llama);
        return llama.release();
    });
}

bool hearth_llama_load_adapter(hearth_llama *llama) {
    clearError();
    isLoadingAdapter = true;
    const bool isLoaded = guarded(false, [&] {
        FILE *file = adapterFiles.file(llama->adapters.size());
        if (!file) throw std::runtime_error("it was not opened");
        addCost(llama->adapterCost, file);
        rewind(file);
        llama_adapter_lora *adapter = llama_adapter_lora_init_from_file_ptr(llama->model.get(), file);
        if (!adapter) return false;
        llama->adapters.push_back(adapter);
        if (llama_adapter_get_alora_n_invocation_tokens(adapter) > 0) {
            throw std::runtime_error("it is an activated LoRA, which applies to a part of a text only");
        }
        if (llama->loading != HEARTH_LLAMA_MEASURED && llama->adapters.size() == adapterFiles.count()) {
            adapterFiles.close();
        }
        return true;
    });
    isLoadingAdapter = false;
    return isLoaded;
}

bool hearth_llama_apply(hearth_llama *llama, const hearth_llama_applied *applied, size_t count) {
    return guarded(false, [&] {
        std::vector<llama_adapter_lora *> adapters;
        std::vector<float> scales;
        for (size_t i = 0; i < count; i++) {
            adapters.push_back(llama->adapters.at(applied[i].adapter));
            scales.push_back(applied[i].scale);
        }
        return llama_set_adapters_lora(llama->context.get(), adapters.data(), count, scales.data()) == 0;
    });
}

void hearth_llama_free(hearth_llama *llama) { delete llama; }
