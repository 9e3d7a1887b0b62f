// The backend's rendering.
#include "../../Backends/llama/Shim/ChatTemplate.h"
#include "Converted.h"

int main(int count, char **paths) {
    return renderAll(count, paths, [](const std::string &source, const Conversation &conversation) {
        const hearth::ChatTemplate chatTemplate(source, "<bos>", "<eos>", {});
        std::string text;
        for (const hearth::TemplatePart &part : chatTemplate.render(converted(conversation))) text += part.text;
        return text;
    });
}
