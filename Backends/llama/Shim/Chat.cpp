// Conversations: what they become in a model's template, and how its answers are told apart.
#include "Answer.h"

#include <algorithm>
#include <functional>

using hearth::clearError;
using hearth::guarded;
using hearth::noteError;

struct hearth_llama_conversation {
    hearth::Conversation content;
};

namespace {

std::string copy(hearth_llama_text text) { return text.count > 0 ? std::string(text.bytes, text.count) : ""; }

hearth_llama_text view(const std::string &text) { return {text.data(), text.size()}; }

/// Adds to a conversation; false when there is no memory.
template <typename Body>
bool add(Body body) {
    return guarded(false, [&] {
        body();
        return true;
    });
}

/// Runs `body`; a failure of the template becomes an error.
int32_t withTemplate(const hearth_llama *llama, const std::function<int32_t(const hearth::ChatTemplate &)> &body) {
    clearError();
    return guarded(int32_t(HEARTH_LLAMA_FAILED), [&] {
        if (!llama->chatTemplate) throw std::runtime_error("there is no chat template");
        const hearth::TokenizingScope scope;
        try {
            return body(*llama->chatTemplate);
        } catch (const hearth::TemplateFailure &failure) {
            const bool isLength = failure.kind == hearth::TemplateFailure::Kind::exceeds;
            noteError((failure.what() + std::string(isLength ? "; send fewer or shorter messages" : "")).c_str());
            return int32_t(HEARTH_LLAMA_TEMPLATE_FAILED);
        }
    });
}

}  // namespace

hearth_llama_conversation *hearth_llama_conversation_new(void) {
    return guarded<hearth_llama_conversation *>(nullptr, [] { return new hearth_llama_conversation(); });
}

void hearth_llama_conversation_free(hearth_llama_conversation *conversation) { delete conversation; }

bool hearth_llama_conversation_add_message(hearth_llama_conversation *conversation, const char *role,
                                           hearth_llama_text content, hearth_llama_text name,
                                           hearth_llama_text call_id, hearth_llama_text reasoning) {
    return add([&] {
        conversation->content.messages.push_back(
            {role, copy(content), copy(name), copy(call_id), copy(reasoning), {}});
    });
}

bool hearth_llama_conversation_add_call(hearth_llama_conversation *conversation, hearth_llama_text id,
                                        hearth_llama_text name, hearth_llama_text arguments) {
    return add([&] {
        conversation->content.messages.back().calls.push_back({copy(id), copy(name), copy(arguments)});
    });
}

bool hearth_llama_conversation_add_tool(hearth_llama_conversation *conversation, hearth_llama_text name,
                                        hearth_llama_text description, hearth_llama_text parameters) {
    return add([&] {
        conversation->content.tools.push_back({copy(name), copy(description), copy(parameters)});
    });
}

bool hearth_llama_conversation_choose(hearth_llama_conversation *conversation, hearth_llama_tool_choice choice,
                                      hearth_llama_text required) {
    return add([&] {
        using Choice = hearth::Conversation::Choice;
        conversation->content.choice = choice == HEARTH_LLAMA_TOOLS_NONE       ? Choice::none
                                       : choice == HEARTH_LLAMA_TOOLS_REQUIRED ? Choice::required
                                                                               : Choice::automatic;
        conversation->content.requiredTool = copy(required);
    });
}

void hearth_llama_conversation_set_parallel(hearth_llama_conversation *conversation, bool may_call_several) {
    conversation->content.callsInParallel = may_call_several;
}

int32_t hearth_llama_tokenize_chat(const hearth_llama *llama, const hearth_llama_conversation *conversation,
                                   bool (*takes)(const char *, size_t, void *), void *context, int32_t *tokens,
                                   int32_t capacity) {
    return withTemplate(llama, [&](const hearth::ChatTemplate &chatTemplate) {
        std::vector<llama_token> ids;
        const auto takesRun = [&](const std::string &run) { return takes(run.data(), run.size(), context); };
        if (!llama->templateTokens->tokenize(chatTemplate.render(conversation->content), takesRun, ids)) {
            return int32_t(HEARTH_LLAMA_NOT_TAKEN);
        }
        return hearth::copyOut(ids, tokens, capacity);
    });
}

int32_t hearth_llama_render_chat(const hearth_llama *llama, const hearth_llama_conversation *conversation, char *text,
                                 int32_t capacity) {
    return withTemplate(llama, [&](const hearth::ChatTemplate &chatTemplate) {
        std::string whole;
        for (const hearth::TemplatePart &part : chatTemplate.render(conversation->content)) whole += part.text;
        const auto length = int32_t(std::min(whole.size(), size_t(INT32_MAX - 8)));
        if (length > capacity) return -length;
        std::copy(whole.begin(), whole.end(), text);
        return length;
    });
}

namespace {

/// The special tokens among an answer's marks.
std::vector<llama_token> markTokens(const hearth_llama *llama, const hearth::AnswerFormat &format) {
    std::vector<llama_token> marks;
    for (const std::string &mark : format.marks()) {
        std::vector<llama_token> tokens;
        hearth::tokenize(llama->vocabulary(), mark, false, true, tokens);
        if (tokens.size() == 1) marks.push_back(tokens[0]);
    }
    return marks;
}

/// What an answer's calls are held to; null: the format has no grammar, or none that can hold them.
std::unique_ptr<hearth::TextHold> callHold(const hearth_llama *llama, const hearth::AnswerFormat &format) {
    if (format.callGrammar().empty()) return nullptr;
    try {
        auto hold = std::make_unique<hearth::TextHold>(llama->vocabulary(), format.callGrammar().c_str(),
                                                       markTokens(llama, format));
        if (format.callWords().empty()) hold->begin(format.begun());
        return hold;
    } catch (const hearth::HoldFailure &) {
        return nullptr;
    }
}

/// The same tools, whose arguments may be any object: some schemas cannot be held, or make too large a grammar.
hearth::Conversation withoutSchemas(hearth::Conversation conversation) {
    for (hearth::Tool &tool : conversation.tools) tool.parameters = R"({"type":"object"})";
    return conversation;
}

/// How an answer's calls are written, and what holds them.
std::pair<std::shared_ptr<const hearth::AnswerFormat>, std::unique_ptr<hearth::TextHold>> callFormat(
    const hearth_llama *llama, const hearth::ChatTemplate &chatTemplate, const hearth::Conversation &conversation) {
    std::shared_ptr<const hearth::AnswerFormat> format;
    try {
        format = chatTemplate.answerFormat(conversation);
        if (auto hold = callHold(llama, *format)) return {format, std::move(hold)};
        // Without a grammar it is the format that has none.
        if (format->callGrammar().empty()) return {format, nullptr};
    } catch (const hearth::TemplateFailure &failure) {
        if (failure.kind == hearth::TemplateFailure::Kind::exceeds) throw;
    }
    const auto plain = chatTemplate.answerFormat(withoutSchemas(conversation));
    auto hold = callHold(llama, *plain);
    return {format ? format : plain, std::move(hold)};
}

}  // namespace

int32_t hearth_llama_answer_new(const hearth_llama *llama, const hearth_llama_conversation *conversation,
                                hearth_llama_answer **answer) {
    *answer = nullptr;
    return withTemplate(llama, [&](const hearth::ChatTemplate &chatTemplate) {
        const hearth::Conversation &content = conversation->content;
        if (!content.mayCall()) {
            const auto format = chatTemplate.answerFormat();
            if (!format) return 0;
            auto made = std::make_unique<hearth_llama_answer>(format);
            made->marks = markTokens(llama, *format);
            *answer = made.release();
            return 0;
        }
        auto [format, hold] = callFormat(llama, chatTemplate, content);
        if (!hold && content.choice == hearth::Conversation::Choice::required) {
            throw hearth::TemplateFailure(
                hearth::TemplateFailure::Kind::broken,
                "writes calls in a way that cannot be enforced; leave tools.choice to the model");
        }
        auto made = std::make_unique<hearth_llama_answer>(format);
        made->marks = markTokens(llama, *format);
        made->hold = std::move(hold);
        *answer = made.release();
        return 0;
    });
}

void hearth_llama_answer_free(hearth_llama_answer *answer) { delete answer; }

size_t hearth_llama_answer_end_count(const hearth_llama_answer *answer) { return answer->format->ends().size(); }

const char *hearth_llama_answer_end(const hearth_llama_answer *answer, size_t index) {
    return answer->format->ends()[index].c_str();
}

int32_t hearth_llama_piece(const hearth_llama *llama, const hearth_llama_answer *answer, int32_t token, char *text,
                           int32_t capacity) {
    return guarded(int32_t(0), [&] {
        const bool isMark =
            answer && std::find(answer->marks.begin(), answer->marks.end(), token) != answer->marks.end();
        return std::max(0, llama_token_to_piece(llama->vocabulary(), token, text, capacity, 0, isMark));
    });
}

void hearth_llama_answer_append(hearth_llama_answer *answer, const char *text, size_t bytes) {
    guarded(0, [&] {
        answer->parser.append(text, bytes);
        return 0;
    });
}

hearth_llama_answer_parts hearth_llama_answer_look(hearth_llama_answer *answer, bool is_whole) {
    return guarded(hearth_llama_answer_parts{}, [&] {
        hearth::AnswerParser &parser = answer->parser;
        parser.look(is_whole);
        answer->calls.clear();
        for (const hearth::AnswerParser::CallPiece &piece : parser.calls) {
            answer->calls.push_back(
                {piece.index, view(piece.call.id), view(piece.call.name), view(piece.call.arguments)});
        }
        return hearth_llama_answer_parts{
            view(parser.reasoning), view(parser.text), answer->calls.data(), answer->calls.size()};
    });
}
