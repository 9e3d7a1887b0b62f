#ifndef HEARTH_ANSWER_FORMAT_H
#define HEARTH_ANSWER_FORMAT_H

#include <memory>
#include <string>
#include <vector>

#include "CallTrigger.h"
#include "Conversation.h"

struct common_chat_parser_params;

namespace hearth {

/// How the models of a chat template write their answers: with which marks they set their reasoning and their calls of tools
/// apart. llama.cpp's "common" finds that out from the template. Immutable once made.
class AnswerFormat {
public:
    /// Tries the template on conversations; throws when nothing can be found out. Of `conversation` only its tools, and which
    /// of them may be called, count.
    AnswerFormat(const std::string &source, const std::string &bosToken, const std::string &eosToken,
                 const Conversation &conversation);
    ~AnswerFormat();

    /// Whether an answer is only text: there is nothing to tell apart.
    bool isPlain() const { return plain; }

    /// The texts of special tokens that an answer is told apart by; other special tokens have no text.
    const std::vector<std::string> &marks() const { return markTexts; }

    /// Texts that end an answer, although the vocabulary does not say so.
    const std::vector<std::string> &ends() const { return endTexts; }

    /// A grammar (GBNF) for answers with calls; empty: there is none.
    const std::string &callGrammar() const { return grammar; }

    /// The words that begin the part of an answer that the grammar is for; empty: it is for the whole answer.
    const std::vector<std::string> &callWords() const { return words; }

    /// Looks for those words; made anew for each answer.
    CallTrigger trigger() const { return CallTrigger(words, thoughtStart, thoughtEnds); }

    /// The beginning of an answer that the prompt ends with.
    const std::string &begun() const;

    /// What an answer is made of.
    struct Parts {
        std::string reasoning;
        std::string text;
        /// The arguments of the last may be incomplete.
        std::vector<ToolCall> calls;
        /// So many bytes of the answer were understood.
        size_t end = 0;
        /// Whether what follows them cannot be understood, whatever comes.
        bool isBroken = false;
    };

    /// The parts of an answer of which so much has come.
    Parts parts(const std::string &answer) const;

private:
    std::unique_ptr<common_chat_parser_params> parser;
    std::vector<std::string> markTexts;
    std::vector<std::string> endTexts;
    std::string grammar;
    std::vector<std::string> words;
    std::string thoughtStart;
    std::vector<std::string> thoughtEnds;
    bool plain = false;
};

/// Tells one answer apart while it comes.
class AnswerParser {
public:
    explicit AnswerParser(std::shared_ptr<const AnswerFormat> format) : format(std::move(format)) {}

    void append(const char *text, size_t bytes) { answer.append(text, bytes); }

    /// A piece of a call: id and name in the first only; the id is empty where the format has none.
    struct CallPiece {
        size_t index;
        ToolCall call;
    };

    /// Looks at the whole answer so far, which takes time in proportion to its length; `reasoning`, `text` and `calls` are then
    /// what has come of them since the look before. `isWhole`: nothing more will come, and what breaks the format is text.
    /// The beginning of a mark at the end is left out all the same.
    void look(bool isWhole);

    std::string reasoning;
    std::string text;
    std::vector<CallPiece> calls;

private:
    std::shared_ptr<const AnswerFormat> format;
    std::string answer;
    AnswerFormat::Parts told;
};

}  // namespace hearth

#endif
