internal import InferenceMessages
internal import StrictJSON

// The parts of a request that OpenAI's Responses have in a shape of their own.
extension Hearth_V1_GenerateRequest {
    /// Reads the form; returns it as an answer shows it.
    mutating func readResponsesForm(_ request: RequestObject) throws(HTTPFailure) -> JSONOutput {
        let plain = JSONOutput.object([("type", .string("text"))])
        guard let text = try request.object("text", known: ["format", "verbosity"]) else { return plain }
        if let verbosity = try text.string("verbosity"), verbosity != "medium" {
            throw text.failure("verbosity", "must be \"medium\": say in the prompt how long the answer is to be")
        }
        let form = try text.object("format", known: ["description", "name", "schema", "strict", "type"])
        guard let form else { return plain }
        let type = try form.required("type")
        guard type == "json_schema" || form.node("schema") == nil else {
            throw form.failure("schema", "needs the type \"json_schema\"")
        }
        switch type {
        case "text": return plain
        case "json_object":
            format.json = Hearth_V1_Json()
            return .object([("type", .string(type))])
        case "json_schema":
            guard let schema = try form.objectText("schema") else { throw form.failure("schema", "is missing") }
            format.jsonSchema = schema
            // Every schema is held to, whether or not it says `strict`; its name and description are for the reader.
            return .object([
                ("type", .string(type)), ("name", .string(try form.required("name"))),
                ("description", try form.string("description").map { .string($0) } ?? .null),
                ("schema", .text(schema)), ("strict", .bool(try form.bool("strict") ?? true)),
            ])
        default: throw form.failure("type", "must be \"text\", \"json_object\" or \"json_schema\"")
        }
    }

    /// Reads the tools; returns them as an answer shows them.
    mutating func readResponsesTools(_ request: RequestObject) throws(HTTPFailure) -> [JSONOutput] {
        var taken: [Hearth_V1_Tool] = []
        var shown: [JSONOutput] = []
        for (index, node) in try (request.list("tools") ?? []).enumerated() {
            let path = "tools[\(index)]"
            // Its type tells which members it has.
            if let type = node.typeMember, type.value != .string("function") {
                throw .invalid(
                    "\(path).type",
                    "'\(path).type' must be \"function\", not \(type.found): this host carries out no tools; "
                        + "turn that one off in the client")
            }
            let entry = try RequestObject(
                node, at: path, known: ["description", "name", "parameters", "strict", "type"])
            _ = try entry.required("type")
            var tool = Hearth_V1_Tool()
            tool.name = try entry.required("name")
            let description = try entry.string("description")
            tool.description_p = description ?? ""
            let parameters = try entry.objectText("parameters")
            tool.parameters = parameters ?? ""
            taken.append(tool)
            // Arguments are held to their schema as far as the model's format allows, whether or not it says `strict`.
            shown.append(
                .object([
                    ("type", .string("function")), ("name", .string(tool.name)),
                    ("description", description.map { .string($0) } ?? .null),
                    ("parameters", parameters.map { .text($0) } ?? .null),
                    ("strict", try entry.bool("strict").map { .bool($0) } ?? .null),
                ]))
        }
        let isParallel = try request.bool("parallel_tool_calls")
        // Some clients always send the other one.
        guard !taken.isEmpty else { return [] }
        tools.tools = taken
        if let isParallel { tools.parallelCalls = isParallel }
        return shown
    }

    /// Reads the choice among the tools, after them; returns it as an answer shows it.
    mutating func readResponsesToolChoice(_ request: RequestObject) throws(HTTPFailure) -> JSONOutput {
        guard let choice = request.node("tool_choice") else { return .string("auto") }
        if case .string(let mode) = choice.value {
            guard let chosen = Self.choices[mode] else {
                throw request.failure("tool_choice", "must be \"auto\", \"none\", \"required\" or an object")
            }
            // Some clients always send the other two.
            guard hasTools || chosen != .required else { throw request.failure("tool_choice", "needs 'tools'") }
            if hasTools { tools.choice = chosen }
            return .string(mode)
        }
        guard hasTools else { throw request.failure("tool_choice", "needs 'tools'") }
        switch choice.typeMember?.value {
        case .string("function"):
            let named = try RequestObject(choice, at: "tool_choice", known: ["name", "type"])
            tools.choice = .required
            tools.requiredTool = try named.required("name")
        case .string("allowed_tools"):
            try allow(RequestObject(choice, at: "tool_choice", known: ["mode", "tools", "type"]))
        default:
            throw request.failure(
                "tool_choice",
                "must be \"auto\", \"none\", \"required\" or an object of type \"function\" or \"allowed_tools\"")
        }
        return JSONOutput(choice)
    }

    private static let choices: [String: Hearth_V1_ToolChoice] = ["auto": .auto, "none": .none, "required": .required]

    /// Leaves the model those of its tools that are named.
    private mutating func allow(_ choice: RequestObject) throws(HTTPFailure) {
        guard let mode = Self.choices[try choice.required("mode")] else {
            throw choice.failure("mode", "must be \"auto\", \"none\" or \"required\"")
        }
        let names = Set(tools.tools.map(\.name))
        var allowed: Set<String> = []
        for (index, node) in try (choice.list("tools") ?? []).enumerated() {
            let entry = try RequestObject(node, at: "\(choice.place("tools"))[\(index)]", known: ["name", "type"])
            guard try entry.required("type") == "function" else { throw entry.failure("type", "must be \"function\"") }
            let name = try entry.required("name")
            guard names.contains(name) else {
                throw entry.failure("name", "is none of those in 'tools'")
            }
            allowed.insert(name)
        }
        guard !allowed.isEmpty else { throw choice.failure("tools", "must name a tool") }
        tools.tools.removeAll { !allowed.contains($0.name) }
        tools.choice = mode
    }

    /// Log-probabilities are asked for by `include`, and their number beside it.
    mutating func readResponsesLogprobs(_ request: RequestObject) throws(HTTPFailure) {
        let likeliest: UInt32 = try request.integer("top_logprobs", 0...20) ?? 0
        var isAsked = false
        for (index, node) in try (request.list("include") ?? []).enumerated() {
            switch node.value {
            case .string("message.output_text.logprobs"): isAsked = true
            // Reasoning is sent as text, and taken so.
            case .string("reasoning.encrypted_content"): break
            default:
                throw .invalid(
                    "include[\(index)]",
                    "'include[\(index)]' must be \"message.output_text.logprobs\" or \"reasoning.encrypted_content\", "
                        + "not \(node.found)")
            }
        }
        guard isAsked || likeliest == 0 else {
            throw request.failure("top_logprobs", "needs \"message.output_text.logprobs\" in 'include'")
        }
        if isAsked { output.logprobs = likeliest }
    }
}

extension JSONNode {
    /// The member `type` of an object, by which its other members are known; nil where there is none.
    var typeMember: JSONNode? {
        guard case .object(let members) = value else { return nil }
        return members.first { $0.key == "type" }?.node
    }
}
