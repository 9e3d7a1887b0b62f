internal import InferenceMessages
internal import StrictJSON

/// The tools of Anthropic's protocol, as far as the client carries them out.
enum MessagesTools {
    /// Fields of a tool that change nothing: arguments are held to their schema as far as the model's format allows, and
    /// come as they are written, whether or not a tool says so.
    private static let withoutEffect: Set<String> = ["cache_control", "eager_input_streaming", "strict"]
    private static let refused: [String: String] = ["input_examples": "put them into 'description'"]
    private static let known: Set<String> = [
        "allowed_callers", "defer_loading", "description", "input_schema", "name", "type",
    ]

    /// Nil: there are none.
    static func read(_ request: RequestObject) throws(HTTPFailure) -> Hearth_V1_ToolUse? {
        var use = Hearth_V1_ToolUse()
        for (index, node) in try (request.list("tools") ?? []).enumerated() {
            use.tools.append(try tool(node, at: "tools[\(index)]"))
        }
        guard
            let choice = try request.object(
                "tool_choice", known: ["disable_parallel_tool_use", "name", "type"])
        else { return use.tools.isEmpty ? nil : use }
        let type = try choice.required("type")
        guard type == "tool" || choice.node("name") == nil else {
            throw choice.failure("name", "needs the type \"tool\"")
        }
        switch type {
        case "auto": use.choice = .auto
        case "none": use.choice = .none
        case "any": use.choice = .required
        case "tool":
            use.choice = .required
            use.requiredTool = try choice.required("name")
        default: throw choice.failure("type", "must be \"auto\", \"any\", \"tool\" or \"none\"")
        }
        if let flag = try choice.bool("disable_parallel_tool_use") { use.parallelCalls = !flag }
        guard use.tools.isEmpty else { return use }
        if use.choice == .required { throw request.failure("tool_choice", "needs 'tools'") }
        return nil
    }

    private static func tool(_ node: JSONNode, at path: String) throws(HTTPFailure) -> Hearth_V1_Tool {
        // The tools that Anthropic's servers carry out, or that its models know, have a type and members of their own.
        if let type = try RequestObject.member("type", of: node, at: path), type.value != .string("custom") {
            throw .invalid(
                "\(path).type",
                "'\(path).type' must be \"custom\", not \(type.found): this host has no tools, and knows none by name; "
                    + "carry it out yourself, with a name and an 'input_schema'",
                code: "unsupported_parameter")
        }
        let entry = try RequestObject(
            node, at: path, known: known, withoutEffect: withoutEffect, refused: refused)
        if try entry.bool("defer_loading") == true {
            throw entry.failure("defer_loading", "cannot be true: the model is shown every tool, and searches for none")
        }
        if let callers = try entry.list("allowed_callers"), !callers.contains(where: { $0.value == .string("direct") })
        {
            throw entry.failure("allowed_callers", "must have \"direct\": only the model calls tools")
        }
        var tool = Hearth_V1_Tool()
        tool.name = try entry.required("name")
        tool.description_p = try entry.string("description") ?? ""
        guard let schema = try entry.objectText("input_schema") else {
            throw entry.failure("input_schema", "is missing")
        }
        tool.parameters = schema
        return tool
    }
}
