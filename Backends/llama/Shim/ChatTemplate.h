#ifndef HEARTH_CHAT_TEMPLATE_H
#define HEARTH_CHAT_TEMPLATE_H

#include <stdexcept>
#include <string>
#include <vector>

#include "AnswerFormat.h"
#include "TemplateBounds.h"
#include "common/jinja/caps.h"

namespace hearth {

struct ChatMessage {
    std::string role;
    std::string content;
};

/// A part of a rendered conversation.
struct TemplatePart {
    std::string text;
    /// Whether some of it comes from a message; other parts were written by the model's authors.
    bool isConsumers;
};

/// Why a conversation could not be rendered; `what` completes the sentence "the chat template ...".
struct TemplateFailure : std::runtime_error {
    enum class Kind {
        /// The template called `raise_exception`.
        refuses,
        /// It is no template, or uses something that the engine does not know.
        broken,
        /// It took more time, memory or stack than there is for a conversation of this length.
        exceeds,
    };

    TemplateFailure(Kind kind, const std::string &message) : std::runtime_error(message), kind(kind) {}

    Kind kind;
};

/// A model's own chat template, rendered by llama.cpp's Jinja engine with the variables that llama-server gives it.
/// Immutable once made: any thread may render.
class ChatTemplate {
public:
    /// Parses the template, and tries it on a greeting. Throws `TemplateFailure`.
    ChatTemplate(const std::string &source, std::string bosToken, std::string eosToken);

    /// The prompt for the answer to a conversation. If its last message is the assistant's, the prompt ends with that
    /// message, for the model to continue. Throws `TemplateFailure`.
    std::vector<TemplatePart> render(std::vector<ChatMessage> messages) const;

    /// How answers are written; NULL: as plain text.
    const AnswerFormat *answerFormat() const { return answers.get(); }

    /// The stack that a template may take; a thread that renders must have it. The deepest of llama.cpp's collection
    /// takes a twentieth.
    static constexpr size_t stackBytes = 1 << 19;

private:
    std::vector<TemplatePart> continued(std::vector<ChatMessage> messages, const std::string &answer) const;
    std::vector<TemplatePart> execute(const std::vector<ChatMessage> &messages, bool promptsAnswer) const;

    std::string source;
    std::string bosToken;
    std::string eosToken;
    jinja::program program;
    jinja::caps abilities;
    std::unique_ptr<AnswerFormat> answers;
    bool trimsContents = false;
};

}  // namespace hearth

#endif
