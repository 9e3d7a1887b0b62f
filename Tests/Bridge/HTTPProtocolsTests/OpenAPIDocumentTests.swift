import StrictJSON
import Testing

@testable import HTTPProtocols

struct OpenAPIDocumentTests {
    /// The members of an object in the document.
    private func members(_ path: String...) throws -> [String: JSONNode] {
        var node = try JSONNode.parse(Array(OpenAPIDocument.text.utf8), file: "")
        for key in path { node = try #require(Self.members(node)[key]) }
        return Self.members(node)
    }

    private static func members(_ node: JSONNode) -> [String: JSONNode] {
        guard case .object(let members) = node.value else { return [:] }
        return Dictionary(uniqueKeysWithValues: members.map { ($0.key, $0.node) })
    }

    private static func strings(_ node: JSONNode?) -> [String] {
        guard case .array(let elements)? = node?.value else { return [] }
        return elements.compactMap { if case .string(let text) = $0.value { text } else { nil } }
    }

    @Test func `each endpoint is described with the places of its fields, and nothing else is`() throws {
        var described: [String] = []
        for (path, node) in try members("paths") {
            for (verb, operation) in Self.members(node) {
                let endpoint = try #require(
                    OwnerEndpoint.all.first { $0.path == path && $0.verb.rawValue.lowercased() == verb })
                described.append("\(verb) \(path)")
                let operation = Self.members(operation)
                #expect(operation["operationId"] != nil && operation["description"] != nil)
                var parameters: [String: String] = [:]
                if case .array(let list)? = operation["parameters"]?.value {
                    for case .object(let one) in list.map(\.value) {
                        let texts = one.compactMap { member in
                            if case .string(let text) = member.node.value { (member.key, text) } else { nil }
                        }
                        let values = Dictionary(uniqueKeysWithValues: texts)
                        parameters[try #require(values["name"])] = values["in"]
                    }
                }
                #expect(parameters.filter { $0.value == "query" }.keys.sorted() == endpoint.query.sorted())
                for name in parameters.filter({ $0.value == "path" }).keys { #expect(path.contains("{\(name)}")) }
                #expect(parameters.filter { $0.value == "path" }.count == path.count { $0 == "{" })
                if endpoint.body.isEmpty {
                    #expect(operation["requestBody"] == nil)
                } else {
                    let body = try members(
                        "paths", path, verb, "requestBody", "content", "application/json", "schema", "properties")
                    #expect(body.keys.sorted() == endpoint.body.sorted())
                }
            }
        }
        #expect(described.sorted() == OwnerEndpoint.all.map { "\($0.verb.rawValue.lowercased()) \($0.path)" }.sorted())
    }

    @Test func `each answer's schema has the fields of its message, and asks for those that are always there`() throws {
        let schemas = try members("components", "schemas")
        for endpoint in OwnerEndpoint.all {
            guard let message = endpoint.schema?.response else { continue }
            let schema = Self.members(try #require(schemas[message]))
            let fields = try #require(MessageSchema.admin.messages[message])
            #expect(Self.members(try #require(schema["properties"])).keys.sorted() == fields.map(\.name).sorted())
            // Of a message without values its JSON has what is always there.
            let empty = try JSONNode.parse(Array(MessageSchema.admin.json([], as: message).text.utf8), file: "")
            #expect(Self.members(empty).keys.sorted() == Self.strings(schema["required"]).sorted())
        }
        #expect(schemas["Error"] != nil)
    }

    @Test func `each reference leads to a schema`() throws {
        let schemas = try members("components", "schemas")
        var names = 0
        for piece in OpenAPIDocument.text.split(separator: "\"") where piece.hasPrefix("#/components/schemas/") {
            names += 1
            #expect(schemas[String(piece.dropFirst("#/components/schemas/".count))] != nil)
        }
        #expect(names > 20)
    }
}
