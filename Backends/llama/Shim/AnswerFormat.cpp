#include "AnswerFormat.h"

#include "common/chat-peg-parser.h"
#include "common/chat.h"
#include "common/log.h"

// What llama.cpp's "common" would log includes what consumers say.
common_log *common_log_main() { return nullptr; }
void common_log_add(common_log *, ggml_log_level, const char *, ...) {}
int common_log_get_verbosity_thold() { return -1; }

namespace hearth {

namespace {

std::unique_ptr<common_chat_peg_mapper> mapper(common_chat_format format, common_chat_msg &message) {
    switch (format) {
    case COMMON_CHAT_FORMAT_PEG_GEMMA4: return std::make_unique<common_chat_peg_gemma4_mapper>(message);
    case COMMON_CHAT_FORMAT_PEG_MINIMAX_M3: return std::make_unique<common_chat_peg_minimax_m3_mapper>(message);
    default: return std::make_unique<common_chat_peg_mapper>(message);
    }
}

void addIfMissing(std::vector<std::string> &list, const std::string &text) {
    if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

/// The grammar of an answer that has to call, without the rule by which any text may come before the calls: a model could
/// go on with text for ever. llama.cpp's "common" writes that rule as "until-N?" in the first one; another such rule there, in
/// parentheses, is for its reasoning.
std::string withoutTextBeforeCalls(const std::string &grammar) {
    const size_t root = grammar.rfind("root ::= ", 0) == 0 ? 0 : grammar.find("\nroot ::= ");
    if (root == std::string::npos) return grammar;
    const size_t end = std::min(grammar.find('\n', root + 1), grammar.size());
    const std::string mark = " until-";
    int depth = 0;
    // What ends a literal or a set of characters; 0 outside of both.
    char closing = 0;
    for (size_t at = root; at < end; at++) {
        const char character = grammar[at];
        if (closing != 0) {
            if (character == '\\') at++;
            if (character == closing) closing = 0;
            continue;
        }
        if (character == '"') closing = '"';
        if (character == '[') closing = ']';
        if (character == '(') depth++;
        if (character == ')') depth--;
        if (depth > 0 || grammar.compare(at, mark.size(), mark) != 0) continue;
        const size_t behind = grammar.find_first_not_of("0123456789", at + mark.size());
        if (behind < end && grammar[behind] == '?') return grammar.substr(0, at) + grammar.substr(behind + 1);
    }
    return grammar;
}

/// The new part of a text that grows; empty while it does not begin with what was told of it.
std::string added(const std::string &told, const std::string &now) {
    return now.compare(0, told.size(), told) == 0 ? now.substr(told.size()) : "";
}

}  // namespace

AnswerFormat::AnswerFormat(const std::string &source, const std::string &bosToken, const std::string &eosToken,
                           const Conversation &conversation) {
    const common_chat_templates_ptr templates = common_chat_templates_init(nullptr, source, bosToken, eosToken);
    common_chat_templates_inputs inputs;
    common_chat_msg greeting;
    greeting.role = "user";
    greeting.content = "Hello";
    inputs.messages = {greeting};
    inputs.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
    if (conversation.mayCall()) {
        for (const Tool &tool : conversation.tools) {
            if (!conversation.requiredTool.empty() && tool.name != conversation.requiredTool) continue;
            inputs.tools.push_back({tool.name, tool.description, tool.parameters});
        }
        inputs.tool_choice = conversation.choice == Conversation::Choice::required ? COMMON_CHAT_TOOL_CHOICE_REQUIRED
                                                                                     : COMMON_CHAT_TOOL_CHOICE_AUTO;
        inputs.parallel_tool_calls = conversation.callsInParallel.value_or(
            common_chat_templates_get_caps(templates.get()).at("supports_parallel_tool_calls"));
    }
    const common_chat_params params = common_chat_templates_apply(templates.get(), inputs);
    if (!inputs.tools.empty() && params.parser.find(common_chat_peg_builder::TOOL_NAME) == std::string::npos) {
        throw std::runtime_error("what its models write does not tell calls of tools apart");
    }
    parser = std::make_unique<common_chat_parser_params>(params);
    parser->parser.load(params.parser);
    markTexts = params.preserved_tokens;
    addIfMissing(markTexts, params.thinking_start_tag);
    for (const std::string &end : params.thinking_end_tags) addIfMissing(markTexts, end);
    endTexts = params.additional_stops;
    thoughtStart = params.thinking_start_tag;
    thoughtEnds = params.thinking_end_tags;
    for (const common_grammar_trigger &trigger : params.grammar_triggers) {
        if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) words.push_back(trigger.value);
    }
    // Of some formats only a pattern tells where a call begins: their calls are read, and not held.
    if (!params.grammar_lazy || (!words.empty() && words.size() == params.grammar_triggers.size())) {
        grammar = params.grammar;
    }
    if (!params.grammar_lazy) {
        words.clear();
        grammar = withoutTextBeforeCalls(grammar);
    }
    const std::string trial = "Hi <there> [you] {\"too\": 1}";
    plain = inputs.tools.empty() && !params.supports_thinking && endTexts.empty() && parts(trial).text == trial;
}

AnswerFormat::~AnswerFormat() = default;

const std::string &AnswerFormat::begun() const { return parser->generation_prompt; }

AnswerFormat::Parts AnswerFormat::parts(const std::string &answer) const {
    const std::string &prompt = parser->generation_prompt;
    common_peg_parse_context context(prompt + answer, COMMON_PEG_PARSE_FLAG_LENIENT);
    const common_peg_parse_result result = parser->parser.parse(context);
    common_chat_msg message;
    mapper(parser->format, message)->from_ast(context.ast, result);
    std::vector<ToolCall> calls;
    for (common_chat_tool_call &call : message.tool_calls) {
        calls.push_back({std::move(call.id), std::move(call.name), std::move(call.arguments)});
    }
    return {std::move(message.reasoning_content), std::move(message.content), std::move(calls),
            result.end > prompt.size() ? result.end - prompt.size() : 0, result.fail()};
}

void AnswerParser::look(bool isWhole) {
    AnswerFormat::Parts now = format->parts(answer);
    // What was told and cannot be taken back stays; of an answer that breaks its format nothing may be lost.
    if (now.isBroken) now = {told.reasoning, told.text, told.calls, told.end, true};
    reasoning = added(told.reasoning, now.reasoning);
    text = added(told.text, now.text);
    calls.clear();
    for (size_t index = 0; index < now.calls.size(); index++) {
        const bool isFirst = index == told.calls.size();
        if (isFirst) told.calls.push_back({now.calls[index].id, now.calls[index].name, ""});
        std::string &arguments = told.calls[index].arguments;
        std::string more = added(arguments, now.calls[index].arguments);
        arguments += more;
        if (isFirst) {
            calls.push_back({index, {now.calls[index].id, now.calls[index].name, std::move(more)}});
        } else if (!more.empty()) {
            calls.push_back({index, {"", "", std::move(more)}});
        }
    }
    if (now.isBroken && isWhole) text += answer.substr(now.end);
    told.reasoning += reasoning;
    told.text += text;
    told.end = std::max(told.end, now.end);
}

}  // namespace hearth
