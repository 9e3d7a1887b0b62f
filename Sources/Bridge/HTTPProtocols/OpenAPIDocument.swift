/// The description of the owner's REST (OpenAPI 3.1), made of its endpoints and of the comments and fields of
/// `hearth.admin.v1`.
package enum OpenAPIDocument {
    /// Made once.
    package static let text = document.text

    static let document: JSONOutput = {
        var paths: [(String, JSONOutput)] = []
        for endpoint in OwnerEndpoint.all {
            let operation = (endpoint.verb.rawValue.lowercased(), operation(endpoint))
            if let place = paths.firstIndex(where: { $0.0 == endpoint.path }) {
                guard case .object(let others) = paths[place].1 else { continue }
                paths[place].1 = .object(others + [operation])
            } else {
                paths.append((endpoint.path, .object([operation])))
            }
        }
        return .object([
            ("openapi", .string("3.1.0")),
            (
                "info",
                .object([
                    ("title", .string("Hearth, for its owner")), ("version", .string("1")),
                    (
                        "description",
                        .string(
                            "What the owner of a host sees and asks of its agent, as the hearth command does. Bodies are "
                                + "the messages of hearth.admin.v1 in proto3's JSON with the proto's names.")
                    ),
                ])
            ),
            ("security", .list([.object([("ownersKey", .list([]))])])), ("paths", .object(paths)),
            (
                "components",
                .object([
                    ("schemas", .object(schemas)),
                    (
                        "securitySchemes",
                        .object([
                            (
                                "ownersKey",
                                .object([
                                    ("type", .string("http")), ("scheme", .string("bearer")),
                                    ("description", .string("A key that 'hearth key create --owner NAME' made.")),
                                ])
                            )
                        ])
                    ),
                ])
            ),
        ])
    }()

    private static func operation(_ endpoint: OwnerEndpoint) -> JSONOutput {
        let text = JSONOutput.object([("schema", .object([("type", .string("string"))]))])
        switch endpoint.question {
        case .metrics:
            return .object([
                ("operationId", .string("Metrics")),
                ("description", .string("All counters, as 'hearth metrics' prints them.")),
                ("responses", responses([("text/plain", text)], "Prometheus's text format, version 0.0.4.")),
            ])
        case .description:
            return .object([
                ("operationId", .string("Describe")), ("description", .string("This description. It needs no key.")),
                ("security", .list([])),
                (
                    "responses",
                    responses(
                        [("application/json", .object([("schema", .object([("type", .string("object"))]))]))], "This.")
                ),
            ])
        case .call, .running, .pull: break
        }
        guard let call = endpoint.schema else {
            preconditionFailure("\(endpoint.path) asks what hearth.admin.v1 has not")
        }
        let isRunning = endpoint.question == .running
        var members: [(String, JSONOutput)] = [
            ("operationId", .string((endpoint.calls.first ?? "") + (isRunning ? "ThatRun" : ""))),
            ("description", .string(call.comment + (isRunning ? " Only those that run are shown." : ""))),
        ]
        let fields = MessageSchema.admin.messages[call.request] ?? []
        let parameters = fields.compactMap { parameter($0, endpoint) }
        if !parameters.isEmpty { members.append(("parameters", .list(parameters))) }
        if !endpoint.body.isEmpty {
            let schema = JSONOutput.object([
                ("type", .string("object")), ("additionalProperties", .bool(false)),
                ("properties", properties(fields.filter { endpoint.body.contains($0.name) })),
            ])
            members.append(
                (
                    "requestBody",
                    .object([("content", .object([("application/json", .object([("schema", schema)]))]))])
                ))
        }
        let message = JSONOutput.object([("schema", reference(call.response))])
        if endpoint.question == .pull {
            members.append(
                (
                    "responses",
                    responses(
                        [("application/x-ndjson", message), ("text/event-stream", text)],
                        "One object at a time. The last has the event \"done\" or \"failed\"; without it the pull has failed."
                    )
                ))
        } else {
            let comment = MessageSchema.admin.comments[call.response] ?? ""
            members.append(("responses", responses([("application/json", message)], comment)))
        }
        return .object(members)
    }

    private static func parameter(_ field: MessageSchema.Field, _ endpoint: OwnerEndpoint) -> JSONOutput? {
        let isInPath = endpoint.path.contains("{\(field.name)}")
        guard isInPath || endpoint.query.contains(field.name) else { return nil }
        return .object([
            ("name", .string(field.name)), ("in", .string(isInPath ? "path" : "query")), ("required", .bool(isInPath)),
            ("description", .string(field.comment)), ("schema", .object(type(field))),
        ])
    }

    private static func responses(_ content: [(String, JSONOutput)], _ description: String) -> JSONOutput {
        .object([
            ("200", .object([("description", .string(description)), ("content", .object(content))])),
            (
                "default",
                .object([
                    ("description", .string("Why there is no such answer.")),
                    ("content", .object([("application/json", .object([("schema", reference("Error"))]))])),
                ])
            ),
        ])
    }

    private static func reference(_ message: String) -> JSONOutput {
        .object([("$ref", .string("#/components/schemas/\(message)"))])
    }

    /// Of every message that an answer can have.
    private static let schemas: [(String, JSONOutput)] = {
        var open = OwnerEndpoint.all.compactMap(\.schema?.response)
        var found: Set<String> = []
        while let message = open.popLast() {
            guard found.insert(message).inserted else { continue }
            for case .message(let name) in (MessageSchema.admin.messages[message] ?? []).map(\.kind) {
                open.append(name)
            }
        }
        return found.sorted().map { ($0, schema($0)) } + [("Error", errorSchema)]
    }()

    private static func schema(_ message: String) -> JSONOutput {
        let fields = MessageSchema.admin.messages[message] ?? []
        return .object([
            ("type", .string("object")), ("description", .string(MessageSchema.admin.comments[message] ?? "")),
            ("properties", properties(fields)),
            ("required", .list(fields.filter { !$0.hasPresence }.map { .string($0.name) })),
        ])
    }

    private static func properties(_ fields: [MessageSchema.Field]) -> JSONOutput {
        .object(
            fields.map { field in
                let comment = ("description", JSONOutput.string(field.comment))
                let one = JSONOutput.object(type(field))
                return (
                    field.name,
                    .object(
                        (field.isRepeated ? [("type", .string("array")), ("items", one)] : type(field)) + [comment])
                )
            })
    }

    private static func type(_ field: MessageSchema.Field) -> [(String, JSONOutput)] {
        switch field.kind {
        case .bool: [("type", .string("boolean"))]
        case .string: [("type", .string("string"))]
        case .int32: [("type", .string("integer"))]
        case .uint32:
            [("type", .string("integer")), ("minimum", .integer(0)), ("maximum", .integer(Int64(UInt32.max)))]
        // A text from 2^53 on.
        case .uint64, .fixed64:
            [
                ("type", .list([.string("integer"), .string("string")])), ("minimum", .integer(0)),
                ("pattern", .string("^[0-9]+$")),
            ]
        case .float: [("type", .string("number"))]
        case .message(let name): [("$ref", .string("#/components/schemas/\(name)"))]
        }
    }

    private static let errorSchema: JSONOutput = .object([
        ("type", .string("object")), ("required", .list([.string("error")])),
        (
            "properties",
            .object([
                (
                    "error",
                    .object([
                        ("type", .string("object")),
                        ("required", .list([.string("code"), .string("message"), .string("status")])),
                        (
                            "properties",
                            .object([
                                ("code", described("integer", "The status code of HTTP.")),
                                ("message", described("string", "The problem and the remedy, in a sentence.")),
                                ("status", described("string", "The name of the gRPC status: \"NOT_FOUND\".")),
                            ])
                        ),
                    ])
                )
            ])
        ),
    ])

    private static func described(_ type: String, _ description: String) -> JSONOutput {
        .object([("type", .string(type)), ("description", .string(description))])
    }
}
