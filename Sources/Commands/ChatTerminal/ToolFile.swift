package import InferenceMessages
package import StrictJSON
internal import SwiftProtobuf

/// A file of tools: a JSON list of objects with `name`, `description` and `parameters` (a JSON schema), or of objects
/// `{"type": "function", "function": {...}}` around those, as OpenAI's protocol has them.
package enum ToolFile {
    /// The tools, in the file's order. Throws for what is no such list; the host checks names and schemas.
    package static func tools(_ bytes: [UInt8], file: String) throws(JSONError) -> [Hearth_V1_Tool] {
        let list = try JSONNode.parse(bytes, file: file, nestingMax: JSONObjectScan.nestingMax + 4)
        guard case .array(let entries) = list.value else {
            throw JSONError(file: file, line: list.line, "this must be a list of tools, not \(list.kind)")
        }
        var tools: [Hearth_V1_Tool] = []
        for entry in entries { tools.append(try tool(entry, file: file)) }
        return tools
    }

    private static func tool(_ entry: JSONNode, file: String) throws(JSONError) -> Hearth_V1_Tool {
        var node = entry
        if case .object(let members) = entry.value, members.contains(where: { $0.key == "function" }) {
            let wrapper = try JSONObjectReader(entry, "a tool", keys: ["type", "function"], file: file)
            guard try wrapper.string("type") ?? "function" == "function" else {
                throw wrapper.failure("type", "must be \"function\"")
            }
            node = wrapper.node("function") ?? entry
        }
        let reader = try JSONObjectReader(node, "a tool", keys: ["name", "description", "parameters"], file: file)
        var tool = Hearth_V1_Tool()
        tool.name = try reader.required("name")
        tool.description_p = try reader.string("description") ?? ""
        if let parameters = reader.node("parameters") {
            guard case .object = parameters.value else {
                throw reader.failure("parameters", "must be a JSON schema, an object, not \(parameters.found)")
            }
            tool.parameters = parameters.text
        }
        return tool
    }
}
