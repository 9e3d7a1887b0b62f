// The backend's rendering.
#include "../../Backends/llama/Shim/ChatTemplate.h"
#include "Conversations.h"

int main(int count, char **paths) {
    return renderAll(count, paths, [](const std::string &source, const std::vector<Message> &messages) {
        const hearth::ChatTemplate chatTemplate(source, "<bos>", "<eos>");
        std::vector<hearth::ChatMessage> converted;
        for (const Message &message : messages) converted.push_back({message.role, message.content});
        std::string text;
        for (const hearth::TemplatePart &part : chatTemplate.render(converted)) text += part.text;
        return text;
    });
}
