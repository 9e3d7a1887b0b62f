#include "ChatTemplate.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "common/jinja/lexer.h"
#include "common/jinja/parser.h"
#include "common/jinja/runtime.h"

// parsers.h of llama.cpp's "common", which is not among its public headers.
namespace workaround {
void convert_tool_responses_gemma4(common_json &messages);
}

namespace hearth {

namespace {

/// The largest template of llama.cpp's collection has 17 KB. A parsed template is freed by recursive calls as deep as
/// its nesting.
constexpr size_t sourceBytesMax = 64 << 10;

/// The limits for parsing and trying a template: about a second. Those of llama.cpp's collection take a hundredth.
constexpr TemplateBounds::Limits trialLimits{256 << 20, 64 << 20, ChatTemplate::stackBytes};

/// For each byte of tools, which a template shows once, and a parser is made of.
constexpr uint64_t toolByteWork = 4096;
constexpr int64_t toolByteMemory = 512;

/// A template copies text at every block and call, and all variables for every message. Those of llama.cpp's collection take
/// 150 bytes of work and 40 of memory for a byte of the worst text, and 250 KB of work for a message; some take more the
/// more messages there are. A value of JSON is an object in memory.
TemplateBounds::Limits limits(const Conversation &conversation) {
    const size_t bytes = conversation.messageBytes();
    const size_t count = conversation.messages.size();
    const size_t toolBytes = conversation.toolBytes();
    TemplateBounds::Limits limits = trialLimits;
    limits.workBytes += uint64_t(bytes) * 512 + (uint64_t(count) << 20) + uint64_t(toolBytes) * toolByteWork;
    limits.memoryBytes += int64_t(bytes) * 64 + (int64_t(count) << 13) + int64_t(toolBytes) * toolByteMemory;
    return limits;
}

/// The engine's errors include the place in the template; this returns the error alone, in one line.
std::string plain(const std::string &error) {
    static const std::string mark = "Error: ";
    const size_t found = error.rfind(mark);
    std::string line = found == std::string::npos ? error : error.substr(found + mark.size());
    line = line.substr(0, line.find('\n'));
    return line.substr(0, 300);
}

/// Runs `body` within bounds; an exception becomes a `TemplateFailure`. `raised` is the template's own message.
template <typename Body>
auto bounded(TemplateBounds::Limits limits, const std::string &raised, Body body) {
    TemplateBounds bounds(limits);
    std::string error;
    try {
        auto result = body();
        bounds.end();
        if (bounds.exceeded() == TemplateBounds::Exceeded::nothing) return result;
    } catch (const std::exception &thrown) {
        bounds.end();
        error = thrown.what();
    }
    using Kind = TemplateFailure::Kind;
    switch (bounds.exceeded()) {
    case TemplateBounds::Exceeded::work: throw TemplateFailure(Kind::exceeds, "does not come to an end in time");
    case TemplateBounds::Exceeded::memory: throw TemplateFailure(Kind::exceeds, "takes too much memory");
    case TemplateBounds::Exceeded::stack: throw TemplateFailure(Kind::exceeds, "calls itself too deep");
    case TemplateBounds::Exceeded::nothing: break;
    }
    if (error.find("bad_alloc") != std::string::npos) throw std::bad_alloc();
    if (!raised.empty()) throw TemplateFailure(Kind::refuses, "refuses a conversation: " + plain(raised));
    throw TemplateFailure(Kind::broken, "fails: " + plain(error));
}

constexpr const char *blanks = " \t\n\r\v\f";

std::string withoutBlanks(const std::string &text) {
    const size_t first = text.find_first_not_of(blanks);
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool endsWith(const std::string &text, const std::string &end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string joined(const std::vector<TemplatePart> &parts) {
    std::string text;
    for (const TemplatePart &part : parts) text += part.text;
    return text;
}

jinja::value text(const std::string &text, bool isConsumers = false) {
    return jinja::mk_val<jinja::value_string>(jinja::string(text, isConsumers));
}

/// A consumer's JSON as the engine's value.
jinja::value consumersValue(const common_json &json, const TextGuard &guard) {
    if (json.is_null()) return jinja::mk_val<jinja::value_none>();
    if (json.is_boolean()) return jinja::mk_val<jinja::value_bool>(json.get<bool>());
    if (json.is_number_integer()) return jinja::mk_val<jinja::value_int>(json.get<int64_t>());
    if (json.is_number_float()) return jinja::mk_val<jinja::value_float>(json.get<double>());
    if (json.is_string()) return text(guard.guarded(json.get<std::string>()), true);
    if (json.is_array()) {
        auto array = jinja::mk_val<jinja::value_array>();
        for (const auto &item : json) array->push_back(consumersValue(item, guard));
        return array;
    }
    auto object = jinja::mk_val<jinja::value_object>();
    for (auto entry = json.begin(); entry != json.end(); ++entry) {
        object->insert(guard.guarded(entry.key()), consumersValue(entry.value(), guard));
    }
    return object;
}

jinja::value formattedTime(const jinja::context &context, const std::string &format) {
    char buffer[128];
    std::tm time{};
    gmtime_r(&context.current_time, &time);
    return text(std::string(buffer, std::strftime(buffer, sizeof buffer, format.c_str(), &time)));
}

}  // namespace

size_t Conversation::messageBytes() const {
    size_t bytes = 0;
    for (const ChatMessage &message : messages) {
        bytes += message.content.size() + message.name.size() + message.callId.size() + message.reasoning.size();
        // Their arguments are values of JSON.
        for (const ToolCall &call : message.calls) {
            bytes += call.id.size() + call.name.size() + call.arguments.size() * toolByteWork / 512;
        }
    }
    return bytes;
}

size_t Conversation::toolBytes() const {
    size_t bytes = 0;
    for (const Tool &tool : tools) bytes += tool.name.size() + tool.description.size() + tool.parameters.size() + 64;
    return bytes;
}

ChatTemplate::ChatTemplate(const std::string &source, std::string bosToken, std::string eosToken,
                           const std::vector<std::string> &specials)
    : source(source), bosToken(std::move(bosToken)), eosToken(std::move(eosToken)), guard(specials) {
    if (source.size() > sourceBytesMax) {
        throw TemplateFailure(TemplateFailure::Kind::broken,
                              "is longer than " + std::to_string(sourceBytesMax) + " bytes");
    }
    // StepFun's model does not stop thinking when there are blanks.
    trimsContents = source.find("You have access to the following functions in JSONSchema format") != std::string::npos;
    joinsResults = source.find("'<|tool_call>call:'") != std::string::npos &&
                   source.find("{#- OpenAI Chat Completions:") == std::string::npos;
    g_jinja_on_step = TemplateBounds::step;
    program = bounded(trialLimits, "", [&] { return jinja::parse_from_tokens(jinja::lexer().tokenize(source)); });
    abilities = bounded(trialLimits, "", [&] { return jinja::caps_get(program); });
    Conversation hello;
    hello.messages.push_back({});
    hello.messages.back().role = "user";
    hello.messages.back().content = "Hello";
    const std::vector<TemplatePart> greeting = render(hello);
    if (std::none_of(greeting.begin(), greeting.end(), [](const TemplatePart &part) { return part.isConsumers; })) {
        throw TemplateFailure(TemplateFailure::Kind::broken, "leaves out what the user says");
    }
    try {
        auto format = bounded(
            trialLimits, "",
            [&] { return std::make_shared<AnswerFormat>(source, this->bosToken, this->eosToken, Conversation()); });
        if (!format->isPlain()) answers = std::move(format);
    } catch (const TemplateFailure &) {
        // It renders conversations all the same; its model's answers are then not told apart.
    }
}

std::shared_ptr<const AnswerFormat> ChatTemplate::answerFormat(const Conversation &conversation) const {
    if (!conversation.mayCall()) return answers;
    if (!showsTools()) {
        throw TemplateFailure(TemplateFailure::Kind::broken,
                              "shows the model no tools, so that it cannot call any; leave tools out, or name a template "
                              "that shows them as \"chatTemplate\" in the model's settings");
    }
    return bounded(limits(conversation), "", [&] {
        return std::make_shared<const AnswerFormat>(source, bosToken, eosToken, conversation);
    });
}

std::vector<TemplatePart> ChatTemplate::render(Conversation conversation) const {
    std::vector<ChatMessage> &messages = conversation.messages;
    const std::string answer =
        !messages.empty() && messages.back().role == "assistant" ? messages.back().content : "";
    // As common_chat_templates_apply does for templates that accept less than others.
    if (trimsContents) {
        for (ChatMessage &message : messages) message.content = withoutBlanks(message.content);
    }
    if (!abilities.supports_system_role && !messages.empty() && messages.front().role == "system") {
        if (messages.size() > 1) messages[1].content = messages[0].content + "\n" + messages[1].content;
        messages.erase(messages.begin());
    }
    if (!messages.empty() && messages.back().role == "assistant" && messages.back().calls.empty()) {
        if (auto parts = continued(conversation, answer); !parts.empty()) return parts;
        messages.pop_back();
    }
    auto parts = execute(conversation, true);
    if (!answer.empty() && (messages.empty() || messages.back().role != "assistant")) parts.push_back({answer, true});
    return parts;
}

/// The conversation as the template writes it when it is over, up to the end of the last message: the text that the
/// model was trained to see before those words, marks of thoughts included. (llama-server instead guesses from the
/// generation prompt.) Empty when the template does not keep the end of the message, or writes the part before it
/// differently.
std::vector<TemplatePart> ChatTemplate::continued(Conversation conversation, const std::string &answer) const {
    std::vector<TemplatePart> parts;
    std::string before;
    try {
        parts = execute(conversation, false);
        conversation.messages.pop_back();
        before = joined(execute(conversation, false));
    } catch (const TemplateFailure &failure) {
        if (failure.kind == TemplateFailure::Kind::exceeds) throw;
        return {};
    }
    if (joined(parts).compare(0, before.size(), before) != 0) return {};
    while (!parts.empty() && !parts.back().isConsumers) parts.pop_back();
    if (parts.empty()) return {};
    std::string &text = parts.back().text;
    const std::string kept = withoutBlanks(text);
    const std::string wanted = withoutBlanks(answer);
    if (kept.empty() || wanted.empty() || !(endsWith(wanted, kept) || endsWith(kept, wanted))) return {};
    // Many templates cut off the blanks at the end.
    text.resize(text.find_last_not_of(blanks) + 1);
    text += answer.substr(answer.find_last_not_of(blanks) + 1);
    return parts;
}

/// A message as llama-server gives it to templates.
common_json ChatTemplate::json(const ChatMessage &message) const {
    common_json json{{"role", message.role}};
    if (abilities.supports_typed_content && !abilities.supports_string_content) {
        json["content"] = common_json::array({common_json{{"type", "text"}, {"text", message.content}}});
    } else {
        json["content"] = message.content;
    }
    if (!message.reasoning.empty()) json["reasoning_content"] = message.reasoning;
    if (!message.name.empty()) json["name"] = message.name;
    if (!message.callId.empty()) json["tool_call_id"] = message.callId;
    if (message.calls.empty()) return json;
    common_json calls = common_json::array();
    for (const ToolCall &call : message.calls) {
        common_json function{{"name", call.name}};
        if (abilities.supports_object_arguments) {
            function["arguments"] = common_json::parse(call.arguments);
        } else {
            function["arguments"] = call.arguments;
        }
        calls.push_back(common_json{{"type", "function"}, {"function", function}, {"id", call.id}});
    }
    json["tool_calls"] = calls;
    return json;
}

/// The messages as the engine's value: their roles are words of the template, all else is the consumer's.
jinja::value ChatTemplate::value(const std::vector<ChatMessage> &messages) const {
    common_json list = common_json::array();
    for (const ChatMessage &message : messages) list.push_back(json(message));
    // As common_chat_templates_apply does for this family's earlier templates.
    if (joinsResults) workaround::convert_tool_responses_gemma4(list);
    auto value = jinja::mk_val<jinja::value_array>();
    for (const auto &message : list) {
        auto object = jinja::mk_val<jinja::value_object>();
        for (auto entry = message.begin(); entry != message.end(); ++entry) {
            object->insert(entry.key(), entry.key() == "role" ? text(entry.value().get<std::string>())
                                                              : consumersValue(entry.value(), guard));
        }
        value->push_back(object);
    }
    return value;
}

jinja::value ChatTemplate::value(const Tool &tool) const {
    auto function = jinja::mk_val<jinja::value_object>();
    function->insert("name", text(guard.guarded(tool.name), true));
    function->insert("description", text(guard.guarded(tool.description), true));
    function->insert("parameters", consumersValue(common_json::parse(tool.parameters), guard));
    auto object = jinja::mk_val<jinja::value_object>();
    object->insert("type", text("function"));
    object->insert("function", function);
    return object;
}

std::vector<TemplatePart> ChatTemplate::execute(const Conversation &conversation, bool promptsAnswer) const {
    std::string raised;
    return bounded(limits(conversation), raised, [&] {
        jinja::context context(source);
        context.set_val("messages", value(conversation.messages));
        if (!conversation.tools.empty()) {
            auto tools = jinja::mk_val<jinja::value_array>();
            for (const Tool &tool : conversation.tools) tools->push_back(value(tool));
            context.set_val("tools", tools);
        }
        context.set_val("bos_token", text(bosToken));
        context.set_val("eos_token", text(eosToken));
        context.set_val("enable_thinking", jinja::mk_val<jinja::value_bool>(true));
        context.set_val("datetime", formattedTime(context, "%b %d %Y"));
        context.set_val("date_string", formattedTime(context, "%d %b %Y"));
        if (promptsAnswer) context.set_val("add_generation_prompt", jinja::mk_val<jinja::value_bool>(true));
        auto function = [&context](const std::string &name, const jinja::func_handler &body) {
            context.set_val(name, jinja::mk_val<jinja::value_func>(name, body));
        };
        function("strftime_now", [](const jinja::func_args &arguments) {
            return formattedTime(arguments.ctx, arguments.get_pos(0)->as_string().str());
        });
        function("raise_exception", [&raised](const jinja::func_args &arguments) -> jinja::value {
            raised = arguments.get_pos(0)->as_string().str();
            throw jinja::raised_exception(raised);
        });
        const auto rendered = jinja::runtime::gather_string_parts(jinja::runtime(context).execute(program));
        std::vector<TemplatePart> parts;
        for (auto &part : rendered->val_str.parts) {
            bool isApart = false;
            for (std::string &piece : guard.pieces(part.val)) {
                if (!piece.empty()) parts.push_back({std::move(piece), part.is_input, isApart});
                isApart = true;
            }
        }
        return parts;
    });
}

}  // namespace hearth
