// Samplers, what holds them to a grammar, and log-probabilities.
#include "Answer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string_view>

using hearth::clearError;
using hearth::guarded;

// Takes breakers as tokens; the library declares it in no header that it installs.
llama_sampler *llama_sampler_init_dry_testing(float multiplier, float base, int32_t allowedLength, int32_t window,
                                              const std::vector<std::vector<llama_token>> &breakers);

namespace {

/// A logit beyond this is no sensible value, and becomes infinite when divided by a small temperature.
constexpr float logitMax = 1e30F;

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

/// A sampler of the library that draws at random. It is made anew for each draw: one of the library's goes on with one
/// generator, and nobody who knows the tokens alone knows how often that was asked.
struct Drawing {
    std::function<llama_sampler *(uint32_t seed)> make;
    const hearth::Draws &draws;
    /// Tells the draws of one token apart.
    uint32_t kind;

    /// The seed of the next draw: SplitMix64's output for a state of all that it depends on.
    uint32_t seed() const {
        const auto mix = [](uint64_t bits) {
            bits += 0x9e3779b97f4a7c15;
            bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
            bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
            return bits ^ bits >> 31;
        };
        const uint64_t what = uint64_t(draws.seed) << 32 | uint64_t(draws.tries) << 8 | kind;
        // The library takes the highest number for "any".
        return std::min(uint32_t(mix(mix(what) + draws.chosen) >> 32), UINT32_MAX - 1);
    }
};

llama_sampler *newDrawing(Drawing drawing) {
    static llama_sampler_i interface = [] {
        llama_sampler_i functions{};
        functions.name = [](const llama_sampler *) { return "draw"; };
        functions.apply = [](llama_sampler *self, llama_token_data_array *candidates) {
            const auto &drawing = *static_cast<const Drawing *>(self->ctx);
            const std::unique_ptr<llama_sampler, hearth::SamplerDeleter> once(drawing.make(drawing.seed()));
            llama_sampler_apply(once.get(), candidates);
        };
        functions.free = [](llama_sampler *self) { delete static_cast<Drawing *>(self->ctx); };
        return functions;
    }();
    return llama_sampler_init(&interface, new Drawing(std::move(drawing)));
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
        // It lies where the sampler does, as long as the chain.
        sampler->draws.seed = sampling.seed;
        if (sampling.xtc_probability > 0) {
            const auto xtc = [sampling](uint32_t seed) {
                return llama_sampler_init_xtc(sampling.xtc_probability, sampling.xtc_threshold, 1, seed);
            };
            llama_sampler_chain_add(chain, newDrawing({xtc, sampler->draws, 1}));
        }
        llama_sampler_chain_add(chain, llama_sampler_init_temp(sampling.temperature));
        llama_sampler_chain_add(chain, newDrawing({llama_sampler_init_dist, sampler->draws, 0}));
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
int32_t choose(hearth_llama &llama, hearth_llama_sampler &sampler) {
    llama_token_data_array choice{llama.candidates.data(), llama.candidates.size(), -1, false};
    llama_sampler_apply(sampler.chain.get(), &choice);
    sampler.draws.tries++;
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

/// The token was chosen, and what it is held to allows it.
void take(const llama_vocab *vocabulary, hearth_llama_sampler &sampler, llama_token token) {
    if (sampler.hold) sampler.hold->accept(token);
    if (sampler.later) lookForCall(vocabulary, sampler, token);
    if (sampler.heldBack > 0) sampler.heldBack--;
    llama_sampler_accept(sampler.chain.get(), token);
    sampler.draws.chosen++;
    sampler.draws.tries = 0;
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
        take(llama->vocabulary(), *sampler, token);
        return token;
    });
}

int32_t hearth_llama_take(const hearth_llama *llama, hearth_llama_sampler *sampler, int32_t token) {
    return guardedHold([&]() -> int32_t {
        if (sampler->hold && !sampler->hold->allows(token)) return HEARTH_LLAMA_GRAMMAR_UNFIT;
        take(llama->vocabulary(), *sampler, token);
        return 0;
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
