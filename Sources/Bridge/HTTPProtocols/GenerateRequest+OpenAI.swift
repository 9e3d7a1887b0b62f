internal import InferenceMessages
internal import StrictJSON

// The parts of a request that OpenAI's protocol has on its top level.
extension Hearth_V1_GenerateRequest {
    mutating func readSampling(_ request: RequestObject) throws(HTTPFailure) {
        if let value = try request.number("temperature") { sampling.temperature = value }
        if let value = try request.number("top_p") { sampling.topP = value }
        if let value: UInt32 = try request.integer("top_k", 0...UInt32.max) { sampling.topK = value }
        if let value = try request.number("min_p") { sampling.minP = value }
        if let value = try request.number("frequency_penalty") { sampling.frequencyPenalty = value }
        if let value = try request.number("presence_penalty") { sampling.presencePenalty = value }
        if let value = try request.number("repetition_penalty") { sampling.repetitionPenalty = value }
        if let value: Int64 = try request.integer("seed", Int64.min...Int64.max) {
            sampling.seed = UInt64(bitPattern: value)
        }
        guard let biases = request.node("logit_bias") else { return }
        guard case .object(let members) = biases.value else {
            throw request.failure("logit_bias", "must be an object of token ids, not \(biases.found)")
        }
        var entries: [Hearth_V1_LogitBias] = []
        for member in members {
            guard let token = UInt32(member.key) else {
                throw request.failure("logit_bias", "has a name that is no token id")
            }
            guard case .number(let text) = member.node.value, let bias = Float(text), bias.isFinite else {
                throw request.failure("logit_bias", "must have a number for the token \(token)")
            }
            var entry = Hearth_V1_LogitBias()
            entry.tokenID = token
            entry.bias = bias
            entries.append(entry)
        }
        if !entries.isEmpty { sampling.logitBias = entries }
    }

    mutating func readStopping(_ request: RequestObject) throws(HTTPFailure) {
        let older: UInt32? = try request.integer("max_tokens", 1...UInt32.max)
        let newer: UInt32? = try request.integer("max_completion_tokens", 1...UInt32.max)
        if let older, let newer, older != newer {
            throw request.failure("max_tokens", "and 'max_completion_tokens' differ: leave one out")
        }
        if let most = newer ?? older { stopping.maxTokens = most }
        if let least: UInt32 = try request.integer("min_tokens", 0...UInt32.max) { stopping.minTokens = least }
        switch request.node("stop")?.value {
        case nil: break
        case .string(let text): stopping.stop = [text]
        case .array(let elements):
            var texts: [String] = []
            for element in elements {
                guard case .string(let text) = element.value else {
                    throw request.failure("stop", "must be a string or a list of strings; there is \(element.found)")
                }
                texts.append(text)
            }
            if !texts.isEmpty { stopping.stop = texts }
        default: throw request.failure("stop", "must be a string or a list of strings")
        }
    }

    mutating func readForm(_ request: RequestObject) throws(HTTPFailure) {
        guard let form = try request.object("response_format", known: ["json_schema", "type"]) else { return }
        let type = try form.required("type")
        guard type == "json_schema" || form.node("json_schema") == nil else {
            throw form.failure("json_schema", "needs the type \"json_schema\"")
        }
        switch type {
        case "text": break
        case "json_object": format.json = Hearth_V1_Json()
        case "json_schema":
            // Every schema is held to, whether or not it says `strict`; its name and description are for the reader.
            let schema = try form.object(
                "json_schema", known: ["schema"], withoutEffect: ["description", "name", "strict"])
            guard let text = try schema?.objectText("schema") else {
                throw form.failure("json_schema", "needs a 'schema', an object")
            }
            format.jsonSchema = text
        default: throw form.failure("type", "must be \"text\", \"json_object\" or \"json_schema\"")
        }
    }

    mutating func readTools(_ request: RequestObject) throws(HTTPFailure) {
        let entries = try request.list("tools") ?? []
        guard !entries.isEmpty else {
            // Some clients always send these two.
            if let choice = request.node("tool_choice")?.value, choice != .string("none"), choice != .string("auto") {
                throw request.failure("tool_choice", "needs 'tools'")
            }
            return
        }
        var taken: [Hearth_V1_Tool] = []
        for (index, entry) in entries.enumerated() { taken.append(try Self.tool(entry, at: "tools[\(index)]")) }
        tools.tools = taken
        if let flag = try request.bool("parallel_tool_calls") { tools.parallelCalls = flag }
        guard let choice = request.node("tool_choice") else { return }
        switch choice.value {
        case .string("auto"): tools.choice = .auto
        case .string("none"): tools.choice = .none
        case .string("required"): tools.choice = .required
        case .object:
            let named = try RequestObject(choice, at: "tool_choice", known: ["function", "type"])
            guard try named.required("type") == "function" else { throw named.failure("type", "must be \"function\"") }
            guard let function = try named.object("function", known: ["name"]) else {
                throw named.failure("function", "is missing")
            }
            tools.choice = .required
            tools.requiredTool = try function.required("name")
        default:
            throw request.failure(
                "tool_choice", "must be \"auto\", \"none\", \"required\" or an object with a function")
        }
    }

    private static func tool(_ node: JSONNode, at path: String) throws(HTTPFailure) -> Hearth_V1_Tool {
        let entry = try RequestObject(
            node, at: path, known: ["function", "type"], withoutEffect: ["cache_control"])
        guard try entry.required("type") == "function" else { throw entry.failure("type", "must be \"function\"") }
        // Arguments are held to their schema as far as the model's format allows, whether or not it says `strict`.
        guard
            let function = try entry.object(
                "function", known: ["description", "name", "parameters"], withoutEffect: ["strict"])
        else { throw entry.failure("function", "is missing") }
        var tool = Hearth_V1_Tool()
        tool.name = try function.required("name")
        tool.description_p = try function.string("description") ?? ""
        tool.parameters = try function.objectText("parameters") ?? ""
        return tool
    }
}
