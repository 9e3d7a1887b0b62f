#ifndef HEARTH_CONVERSATION_H
#define HEARTH_CONVERSATION_H

#include <optional>
#include <string>
#include <vector>

namespace hearth {

/// A call of a tool in a message of the model.
struct ToolCall {
    std::string id;
    std::string name;
    /// The text of a JSON object.
    std::string arguments;
};

struct ChatMessage {
    std::string role;
    std::string content;
    /// Who speaks; of a tool's result the tool.
    std::string name;
    /// Of a tool's result: the call that it answers.
    std::string callId;
    /// Of the model's message: what it wrote to itself before.
    std::string reasoning;
    std::vector<ToolCall> calls;
};

struct Tool {
    std::string name;
    std::string description;
    /// The text of a JSON object.
    std::string parameters;
};

/// What a prompt is rendered from, and what its answer may hold.
struct Conversation {
    enum class Choice { automatic, none, required };

    std::vector<ChatMessage> messages;
    std::vector<Tool> tools;
    Choice choice = Choice::automatic;
    /// The only tool that may be called; empty: any.
    std::string requiredTool;
    /// Whether several may be called at once; nullopt: as the template has it.
    std::optional<bool> callsInParallel;

    /// Whether its answer may hold calls.
    bool mayCall() const { return !tools.empty() && choice != Choice::none; }

    /// The bytes of all texts of the messages, and of the tools.
    size_t messageBytes() const;
    size_t toolBytes() const;
};

}  // namespace hearth

#endif
