#include "TextHold.h"

#include <algorithm>
#include <cmath>
#include <map>

// The library's grammars, as its samplers use them; it declares them in no header that it installs.
struct llama_grammar_element {
    /// One of the numbers below.
    uint32_t type;
    uint32_t value;
};
/// Its first members, in their order.
struct llama_grammar_parser {
    const llama_vocab *vocab;
    std::map<std::string, uint32_t> symbol_ids;
    std::vector<std::vector<llama_grammar_element>> rules;

    bool parse(const char *text);
};
llama_grammar *llama_grammar_init_impl(const llama_vocab *vocabulary, const char *text, const char *root, bool isLazy,
                                       const char **patterns, size_t patternCount, const llama_token *tokens,
                                       size_t tokenCount);
void llama_grammar_free_impl(llama_grammar *grammar);
void llama_grammar_apply_impl(const llama_grammar &grammar, llama_token_data_array *candidates);
void llama_grammar_accept_token(llama_grammar &grammar, llama_token token, const std::string &piece);
void llama_grammar_accept_str(llama_grammar &grammar, const std::string &piece);
std::vector<std::vector<const llama_grammar_element *>> &llama_grammar_get_stacks(llama_grammar *grammar);

namespace hearth {

namespace {

/// Below the place of the call; the stack of the process is 8 MiB.
constexpr size_t stackBytes = 2 << 20;

/// Compiling, or taking the given text: about a tenth of a second.
constexpr TemplateBounds::Limits compiling{64 << 20, 8 << 20, stackBytes};

/// One token. The library compares every new stack with all others, which allocates nothing: the memory bounds their number.
constexpr TemplateBounds::Limits accepting{8 << 20, 512 << 10, stackBytes};

/// Runs `body` within bounds.
template <typename Body>
auto bounded(TemplateBounds::Limits limits, Body body) {
    TemplateBounds bounds(limits);
    try {
        auto result = body();
        bounds.end();
        if (bounds.exceeded() == TemplateBounds::Exceeded::nothing) return result;
    } catch (...) {
        bounds.end();
        if (bounds.exceeded() == TemplateBounds::Exceeded::nothing) throw;
    }
    throw HoldFailure(HoldFailure::Kind::exceeds, "the grammar takes too much time or memory");
}

/// The number of bytes of the whole scalars at the beginning of a text, or -1 when it is no beginning of a text in UTF-8
/// (RFC 3629, section 4).
ptrdiff_t wholeScalars(std::string_view text) {
    size_t place = 0;
    while (place < text.size()) {
        const auto byte = [&](size_t offset) { return static_cast<unsigned char>(text[place + offset]); };
        const unsigned char first = byte(0);
        const size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
        if (length == 0) return -1;
        for (size_t i = 1; i < length; i++) {
            if (place + i == text.size()) return ptrdiff_t(place);
            unsigned char least = 0x80;
            unsigned char most = 0xBF;
            if (i == 1 && first == 0xE0) least = 0xA0;
            if (i == 1 && first == 0xED) most = 0x9F;
            if (i == 1 && first == 0xF0) least = 0x90;
            if (i == 1 && first == 0xF4) most = 0x8F;
            if (byte(i) < least || byte(i) > most) return -1;
        }
        place += length;
    }
    return ptrdiff_t(place);
}

/// Counts how often the library's search for rules that begin with themselves enters a rule: once for each way to it, so that
/// a few rules that begin with each other can take years. Throws for what takes too long, or begins with itself.
class Beginnings {
public:
    explicit Beginnings(const std::vector<std::vector<llama_grammar_element>> &rules) : rules(rules), counts(rules.size()) {
        for (const auto &rule : rules) mayBeEmpty.push_back(hasEmpty(rule));
    }

    void check() {
        for (uint32_t rule = 0; rule < rules.size(); rule++) {
            if (count(rule, 0) > countMax) throw HoldFailure(HoldFailure::Kind::exceeds, "a rule can begin in too many ways");
        }
    }

private:
    static constexpr uint64_t countMax = 1 << 20;
    static constexpr uint64_t isAsked = UINT64_MAX;
    static constexpr int depthMax = 4096;
    enum : uint32_t { end = 0, alternative = 1, reference = 2 };

    uint64_t count(uint32_t rule, int depth) {
        if (depth > depthMax) throw HoldFailure(HoldFailure::Kind::exceeds, "rules begin with each other too often");
        if (counts[rule] == isAsked) throw HoldFailure(HoldFailure::Kind::refused, "a rule begins with itself");
        if (counts[rule] > 0) return counts[rule];
        counts[rule] = isAsked;
        uint64_t sum = 1;
        bool isAtBeginning = true;
        for (const llama_grammar_element &element : rules[rule]) {
            if (element.type == end || element.type == alternative) {
                isAtBeginning = true;
            } else if (element.type == reference && isAtBeginning) {
                sum = std::min(sum + count(element.value, depth + 1), countMax + 1);
                isAtBeginning = mayBeEmpty[element.value];
            } else {
                isAtBeginning = false;
            }
        }
        counts[rule] = sum;
        return sum;
    }

    /// Whether an alternative has no elements.
    static bool hasEmpty(const std::vector<llama_grammar_element> &rule) {
        bool isAtBeginning = true;
        for (const llama_grammar_element &element : rule) {
            const bool isEnd = element.type == end || element.type == alternative;
            if (isEnd && isAtBeginning) return true;
            isAtBeginning = isEnd;
        }
        return false;
    }

    const std::vector<std::vector<llama_grammar_element>> &rules;
    /// 0: not counted yet.
    std::vector<uint64_t> counts;
    std::vector<bool> mayBeEmpty;
};

/// Whether an ASCII character is in the set of characters at a place of the grammar (llama-grammar.h, `llama_gretype`).
bool matches(const llama_grammar_element *place, uint32_t character) {
    constexpr uint32_t outside = 4, rangeEnd = 5, another = 6, any = 7;
    const bool isOutside = place->type == outside;
    bool isFound = place->type == any;
    do {
        const bool isRange = place[1].type == rangeEnd;
        isFound |= place->value <= character && character <= (isRange ? place[1].value : place->value);
        place += isRange ? 2 : 1;
    } while (place->type == another);
    return isFound != isOutside;
}

}  // namespace

void TextHold::GrammarDeleter::operator()(llama_grammar *grammar) const { llama_grammar_free_impl(grammar); }

TextHold::TextHold(const llama_vocab *vocabulary, const char *text, std::vector<llama_token> marks)
    : vocabulary(vocabulary), marks(std::move(marks)) {
    grammar.reset(bounded(compiling, [&]() -> llama_grammar * {
        llama_grammar_parser parser{vocabulary, {}, {}};
        if (!parser.parse(text)) return nullptr;
        Beginnings(parser.rules).check();
        return llama_grammar_init_impl(vocabulary, text, "root", false, nullptr, 0, nullptr, 0);
    }));
    if (!grammar) throw HoldFailure(HoldFailure::Kind::refused, "llama.cpp does not take the grammar");
}

void TextHold::begin(const std::string &given) {
    if (given.empty()) return;
    bounded({compiling.workBytes, accepting.memoryBytes, stackBytes}, [&] {
        try {
            llama_grammar_accept_str(*grammar, given);
        } catch (const std::bad_alloc &) {
            throw;
        } catch (const std::runtime_error &) {
            throw HoldFailure(HoldFailure::Kind::unfit, "the given text does not fit the grammar");
        }
        return true;
    });
}

TextHold::~TextHold() = default;

TemplateBounds::Limits TextHold::choosing() const {
    // The text of a JSON string takes some 500 bytes of work for each token.
    const auto tokens = uint64_t(llama_vocab_n_tokens(vocabulary));
    return {(16 << 20) + tokens * 2048, int64_t((16 << 20) + tokens * 512), stackBytes};
}

/// The text of a token that goes on with the sequence's text in UTF-8; empty where it has none, or none such.
std::string_view TextHold::text(llama_token token) {
    // No token's text is longer; one would be refused.
    const bool isMark = std::find(marks.begin(), marks.end(), token) != marks.end();
    const int32_t length = llama_token_to_piece(vocabulary, token, piece.data(), int32_t(piece.size()), 0, isMark);
    if (length <= 0) return {};
    const std::string_view text(piece.data(), size_t(length));
    // The library's texts end with the byte 0.
    if (text.find('\0') != text.npos) return {};
    if (wholeScalars(begun.empty() ? text : begun + std::string(text)) < 0) return {};
    return text;
}

bool TextHold::allows(llama_token token) {
    if (llama_vocab_is_eog(vocabulary, token)) return mayEnd();
    if (text(token).empty()) return false;
    llama_token_data candidate{token, 0, 0};
    llama_token_data_array alone{&candidate, 1, -1, false};
    bounded(accepting, [&] {
        llama_grammar_apply_impl(*grammar, &alone);
        return true;
    });
    return std::isfinite(candidate.logit);
}

bool TextHold::mask(std::vector<llama_token_data> &candidates) {
    // The library looks at every token for each way in which the text can go on. Most begin as none of them does.
    std::array<bool, 128> begins{};
    for (const auto &stack : llama_grammar_get_stacks(grammar.get())) {
        if (stack.empty()) continue;
        for (uint32_t character = 0; character < begins.size(); character++) {
            begins[character] = begins[character] || matches(stack.back(), character);
        }
    }
    const auto isNext = [&](llama_token token) {
        const std::string_view text = this->text(token);
        if (text.empty()) return false;
        const auto first = size_t(static_cast<unsigned char>(text[0]));
        return !begun.empty() || first >= begins.size() || begins[first];
    };
    for (llama_token_data &candidate : candidates) {
        if (!std::isfinite(candidate.logit)) continue;
        const bool isPossible = llama_vocab_is_eog(vocabulary, candidate.id) ? mayEnd() : isNext(candidate.id);
        if (!isPossible) candidate.logit = -INFINITY;
    }
    std::vector<llama_token_data> possible;
    std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(possible),
                 [](const llama_token_data &candidate) { return std::isfinite(candidate.logit); });
    llama_token_data_array looked{possible.data(), possible.size(), -1, false};
    bounded(choosing(), [&] {
        llama_grammar_apply_impl(*grammar, &looked);
        return true;
    });
    bool isAnyPossible = false;
    for (const llama_token_data &candidate : possible) {
        candidates[size_t(candidate.id)].logit = candidate.logit;
        isAnyPossible |= std::isfinite(candidate.logit);
    }
    return isAnyPossible;
}

void TextHold::accept(llama_token token) {
    if (llama_vocab_is_eog(vocabulary, token)) return;
    const std::string added(text(token));
    bounded(accepting, [&] {
        llama_grammar_accept_token(*grammar, token, added);
        return true;
    });
    begun += added;
    begun.erase(0, size_t(std::max(ptrdiff_t(0), wholeScalars(begun))));
}

bool TextHold::mayEnd() const {
    const auto &stacks = llama_grammar_get_stacks(grammar.get());
    return begun.empty() && std::any_of(stacks.begin(), stacks.end(), [](const auto &stack) { return stack.empty(); });
}

bool TextHold::isOver() const {
    const auto &stacks = llama_grammar_get_stacks(grammar.get());
    return begun.empty() && std::all_of(stacks.begin(), stacks.end(), [](const auto &stack) { return stack.empty(); });
}

}  // namespace hearth
