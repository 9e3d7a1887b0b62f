#ifndef HEARTH_CHAT_TEMPLATE_H
#define HEARTH_CHAT_TEMPLATE_H

#include <stdexcept>
#include <string>
#include <vector>

#include "AnswerFormat.h"
#include "Conversation.h"
#include "TemplateBounds.h"
#include "TextGuard.h"
#include "common/jinja/caps.h"
#include "common/jinja/runtime.h"
#include "common/json.h"

namespace hearth {

/// A part of a rendered conversation.
struct TemplatePart {
    std::string text;
    /// Whether some of it comes from a message; other parts were written by the model's authors.
    bool isConsumers;
    /// Whether it is not tokenized together with the part before: both hold a special token that a consumer spells out.
    bool isApart = false;
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
    /// Parses the template, and tries it on a greeting. `specials`: the texts of the special tokens that the tokenizer would
    /// find in what it writes. Throws `TemplateFailure`.
    ChatTemplate(const std::string &source, std::string bosToken, std::string eosToken,
                 const std::vector<std::string> &specials);

    /// The prompt for the answer to a conversation. If its last message is the assistant's, the prompt ends with that
    /// message, for the model to continue. Throws `TemplateFailure`.
    std::vector<TemplatePart> render(Conversation conversation) const;

    /// How answers are written, where no tool may be called; NULL: as plain text.
    std::shared_ptr<const AnswerFormat> answerFormat() const { return answers; }

    /// How the answer to a conversation with tools is written. Throws `TemplateFailure`.
    std::shared_ptr<const AnswerFormat> answerFormat(const Conversation &conversation) const;

    /// Whether the template shows tools.
    bool showsTools() const { return abilities.supports_tools; }

    /// The stack that a template may take; a thread that renders must have it. The deepest of llama.cpp's collection
    /// takes a twentieth.
    static constexpr size_t stackBytes = 1 << 19;

private:
    std::vector<TemplatePart> continued(Conversation conversation, const std::string &answer) const;
    std::vector<TemplatePart> execute(const Conversation &conversation, bool promptsAnswer) const;
    common_json json(const ChatMessage &message) const;
    jinja::value value(const std::vector<ChatMessage> &messages) const;
    jinja::value value(const Tool &tool) const;

    std::string source;
    std::string bosToken;
    std::string eosToken;
    jinja::program program;
    jinja::caps abilities;
    TextGuard guard;
    std::shared_ptr<const AnswerFormat> answers;
    bool trimsContents = false;
    /// The results of tools are a part of the message that calls them.
    bool joinsResults = false;
};

}  // namespace hearth

#endif
