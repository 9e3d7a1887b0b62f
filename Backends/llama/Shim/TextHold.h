#ifndef HEARTH_TEXT_HOLD_H
#define HEARTH_TEXT_HOLD_H

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "TemplateBounds.h"
#include "llama.h"

struct llama_grammar;

namespace hearth {

/// Why a text cannot be held to a grammar.
struct HoldFailure : std::runtime_error {
    enum class Kind {
        /// The library does not take the grammar.
        refused,
        /// The text that was given before is no beginning of what the grammar allows.
        unfit,
        /// The grammar takes more work or memory than one token may cost.
        exceeds,
    };

    HoldFailure(Kind kind, const std::string &what) : std::runtime_error(what), kind(kind) {}
    Kind kind;
};

/// Holds the text of one sequence to a grammar (GBNF): knows which tokens may come next. Its text is UTF-8, and has no token
/// without a text, such as a mark. Every operation is bounded in time, memory and stack; after a failure the object is only
/// good to be destroyed.
class TextHold {
public:
    /// Compiles a grammar, whose first rule is "root". `marks`: special tokens that have a text all the same.
    TextHold(const llama_vocab *vocabulary, const char *grammar, std::vector<llama_token> marks = {});
    ~TextHold();
    TextHold(const TextHold &) = delete;
    TextHold &operator=(const TextHold &) = delete;

    /// Takes the beginning of the text, which was not chosen.
    void begin(const std::string &given);

    /// Whether the token may come next; one that ends a turn may where the text may end.
    bool allows(llama_token token);

    /// Makes every token impossible that may not come next. Returns false when nothing is possible any more.
    bool mask(std::vector<llama_token_data> &candidates);

    /// The token, which may come next, has come.
    void accept(llama_token token);

    /// Whether the text may end here, and whether nothing else can come.
    bool mayEnd() const;
    bool isOver() const;

private:
    struct GrammarDeleter {
        void operator()(llama_grammar *grammar) const;
    };

    std::string_view text(llama_token token);
    TemplateBounds::Limits choosing() const;

    const llama_vocab *vocabulary;
    std::vector<llama_token> marks;
    std::unique_ptr<llama_grammar, GrammarDeleter> grammar;
    /// The bytes of a scalar that is not whole yet.
    std::string begun;
    /// Where texts of tokens are written.
    std::array<char, 1024> piece;
};

}  // namespace hearth

#endif
