// llama.cpp's own rendering, as llama-server calls it.
#include "Conversations.h"
#include "chat.h"

int main(int count, char **paths) {
    return renderAll(count, paths, [](const std::string &source, const std::vector<Message> &messages) {
        const auto templates = common_chat_templates_init(nullptr, source, "<bos>", "<eos>");
        common_chat_templates_inputs inputs;
        for (const Message &message : messages) {
            common_chat_msg converted;
            converted.role = message.role;
            converted.content = message.content;
            inputs.messages.push_back(converted);
        }
        if (messages.back().role == "assistant") {
            inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
            inputs.add_generation_prompt = false;
        }
        return common_chat_templates_apply(templates.get(), inputs).prompt;
    });
}
