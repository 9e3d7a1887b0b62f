#ifndef HEARTH_TEMPLATE_TOKENS_H
#define HEARTH_TEMPLATE_TOKENS_H

#include <functional>
#include <string>
#include <vector>

#include "ChatTemplate.h"
#include "llama.h"

namespace hearth {

/// Appends the ids of one piece of text.
void tokenize(const llama_vocab *vocabulary, const std::string &text, bool addSpecial, bool parseSpecial,
              std::vector<llama_token> &tokens);

/// The text of a token, also of a special one; empty for no token.
std::string tokenText(const llama_vocab *vocabulary, llama_token token);

/// Tokenizes rendered conversations as llama-server does, but for special tokens that a message spells out, which stay
/// text. Immutable once made.
class TemplateTokens {
public:
    explicit TemplateTokens(const llama_vocab *vocabulary);

    /// The texts that are special where a template writes them.
    std::vector<std::string> texts() const;

    /// `takes` is called with every run of text between special tokens; if it returns false, so does this.
    bool tokenize(std::vector<TemplatePart> parts, const std::function<bool(const std::string &)> &takes,
                  std::vector<llama_token> &tokens) const;

private:
    struct Special {
        std::string text;
        llama_token token;
        /// Whether blanks before it, or after it, belong to it.
        bool takesBlanksBefore;
        bool takesBlanksAfter;
    };

    /// Text, or a special token when there is one.
    struct Piece {
        std::string text;
        const Special *special;
    };

    std::vector<Piece> split(const std::string &text) const;
    std::vector<size_t> cuts(const std::string &message) const;

    const llama_vocab *vocabulary;
    /// The longest first, as llama.cpp looks for them.
    std::vector<Special> specials;
    /// Tokens that look special but are not marked so in the file: llama.cpp finds them in any text.
    std::vector<std::string> unmarked;
};

}  // namespace hearth

#endif
