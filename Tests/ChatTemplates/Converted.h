// A conversation in the backend's form.
#ifndef HEARTH_CONVERTED_H
#define HEARTH_CONVERTED_H

#include "../../Backends/llama/Shim/Conversation.h"
#include "Conversations.h"

inline hearth::Conversation converted(const Conversation &conversation) {
    hearth::Conversation converted;
    for (const Message &message : conversation.messages) {
        converted.messages.push_back({message.role, message.content, message.tool, message.callId, "", {}});
        for (const Call &call : message.calls) {
            converted.messages.back().calls.push_back({call.id, call.name, call.arguments});
        }
    }
    for (const Tool &tool : conversation.tools) {
        converted.tools.push_back({tool.name, tool.description, tool.parameters});
    }
    return converted;
}

#endif
