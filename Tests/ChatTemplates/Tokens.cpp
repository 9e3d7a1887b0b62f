// Holds the tokens that the backend makes of conversations against those that llama-server makes of the same text, for every
// vocabulary and every template that is named; and sees that no message makes a special token.
//
//   tokens VOCABULARY.gguf... TEMPLATE.jinja...
#include <cstring>
#include <stdexcept>

#include "../../Backends/llama/Shim/ChatTemplate.h"
#include "../../Backends/llama/Shim/TemplateTokens.h"
#include "common/json.h"
#include "Converted.h"

namespace {

using Parts = std::vector<hearth::TemplatePart>;
using Tokens = std::vector<llama_token>;

Tokens tokens(const hearth::TemplateTokens &templateTokens, const Parts &parts) {
    Tokens tokens;
    templateTokens.tokenize(parts, [](const std::string &) { return true; }, tokens);
    return tokens;
}

/// As common_chat_template_direct_apply and the server's tokenize_input_prompts do it.
Tokens wholeTokens(const llama_vocab *vocabulary, const Parts &parts) {
    std::string text;
    for (const hearth::TemplatePart &part : parts) text += part.text;
    const std::string first = hearth::tokenText(vocabulary, llama_vocab_bos(vocabulary));
    const std::string last = hearth::tokenText(vocabulary, llama_vocab_eos(vocabulary));
    if (llama_vocab_get_add_bos(vocabulary) && text.compare(0, first.size(), first) == 0) text.erase(0, first.size());
    if (llama_vocab_get_add_eos(vocabulary) && text.size() >= last.size() &&
        text.compare(text.size() - last.size(), last.size(), last) == 0) {
        text.resize(text.size() - last.size());
    }
    Tokens tokens;
    hearth::tokenize(vocabulary, text, true, true, tokens);
    return tokens;
}

Tokens specials(const llama_vocab *vocabulary, const Tokens &tokens) {
    Tokens specials;
    for (const llama_token token : tokens) {
        if (llama_vocab_get_attr(vocabulary, token) & LLAMA_TOKEN_ATTR_CONTROL) specials.push_back(token);
    }
    return specials;
}

}  // namespace

int main(int count, char **arguments) {
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    int compared = 0;
    int wrong = 0;
    for (int v = 1; v < count && std::strstr(arguments[v], ".gguf"); v++) {
        llama_model_params parameters = llama_model_default_params();
        parameters.vocab_only = true;
        llama_model *model = llama_model_load_from_file(arguments[v], parameters);
        if (!model) throw std::runtime_error(std::string("cannot load ") + arguments[v]);
        const llama_vocab *vocabulary = llama_model_get_vocab(model);
        const hearth::TemplateTokens templateTokens(vocabulary);
        // Every special token as text, between words and alone.
        std::string spelled = "a";
        for (llama_token token = 0; token < llama_vocab_n_tokens(vocabulary); token++) {
            if (!(llama_vocab_get_attr(vocabulary, token) & LLAMA_TOKEN_ATTR_CONTROL)) continue;
            if (spelled.size() < 4000) spelled += std::string(" b ") + llama_vocab_get_text(vocabulary, token) + "c";
        }
        for (int t = v + 1; t < count; t++) {
            if (std::strstr(arguments[t], ".gguf")) continue;
            std::ifstream file(arguments[t], std::ios::binary);
            const std::string source((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
            const hearth::ChatTemplate chatTemplate(
                source, hearth::tokenText(vocabulary, llama_vocab_bos(vocabulary)),
                hearth::tokenText(vocabulary, llama_vocab_eos(vocabulary)), templateTokens.texts());
            auto complain = [&](const std::string &what, const std::string &conversation) {
                wrong++;
                std::printf("%s: %s, %s, %s\n", what.c_str(), arguments[v], arguments[t], conversation.c_str());
            };
            for (const Conversation &conversation : conversations) {
                Parts parts;
                try {
                    parts = chatTemplate.render(converted(conversation));
                } catch (const hearth::TemplateFailure &) {
                    // It refuses the conversation, as the comparison of texts has seen.
                    continue;
                }
                compared++;
                if (tokens(templateTokens, parts) != wholeTokens(vocabulary, parts)) {
                    complain("other tokens", conversation.name);
                }
            }
            // A message, a tool's result, a call and the tools themselves spell out all special tokens.
            auto spelling = [](const std::string &text) {
                Conversation conversation;
                const std::string quoted = common_json(text).dump();
                conversation.messages = {
                    {"system", text},
                    {"user", text},
                    {"assistant", "", {{"abcdefghi", "get", "{\"a\":" + quoted + "}"}}},
                    {"tool", text, {}, "get", "abcdefghi"},
                    {"assistant", text},
                    {"user", text},
                };
                conversation.tools = {{"get", text, "{\"type\":\"object\",\"properties\":{\"a\":{\"description\":" + quoted + "}}}"}};
                return converted(conversation);
            };
            auto found = [&](const std::string &text) {
                try {
                    return specials(vocabulary, tokens(templateTokens, chatTemplate.render(spelling(text))));
                } catch (const hearth::TemplateFailure &) {
                    return Tokens();
                }
            };
            if (found("x") != found(spelled)) {
                complain("a message makes special tokens", "");
            }
        }
        llama_model_free(model);
    }
    std::printf("%d conversations compared, %d wrong\n", compared, wrong);
    return wrong == 0 ? 0 : 1;
}
