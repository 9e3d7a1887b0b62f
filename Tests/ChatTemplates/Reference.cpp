// llama.cpp's own rendering, as llama-server calls it.
#include "Conversations.h"
#include "chat.h"

int main(int count, char **paths) {
    return renderAll(count, paths, [](const std::string &source, const Conversation &conversation) {
        const auto templates = common_chat_templates_init(nullptr, source, "<bos>", "<eos>");
        common_chat_templates_inputs inputs;
        for (const Tool &tool : conversation.tools) {
            inputs.tools.push_back({tool.name, tool.description, tool.parameters});
        }
        for (const Message &message : conversation.messages) {
            common_chat_msg converted;
            converted.role = message.role;
            converted.content = message.content;
            converted.tool_name = message.tool;
            converted.tool_call_id = message.callId;
            for (const Call &call : message.calls) converted.tool_calls.push_back({call.name, call.arguments, call.id});
            inputs.messages.push_back(converted);
        }
        if (conversation.messages.back().role == "assistant") {
            inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
            inputs.add_generation_prompt = false;
        }
        return common_chat_templates_apply(templates.get(), inputs).prompt;
    });
}
