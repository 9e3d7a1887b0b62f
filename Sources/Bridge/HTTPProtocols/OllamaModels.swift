internal import BaseEncodings
package import InferenceMessages

/// The objects of Ollama's `/api/tags`, `/api/ps`, `/api/show` and `/api/version`.
///
/// What hearth.v1 does not say of a model is an empty text, 0 or the time 0. The members are there nevertheless, because
/// clients read them without looking.
package enum OllamaModels {
    /// The version of Ollama that has what is here; some clients call none that is older than they know.
    package static let version = "0.12.11"

    package static var versionObject: JSONOutput { .object([("version", .string(version))]) }

    /// The id that a name of Ollama's means: clients add ":latest" to a name without a tag, and no id here ends so.
    static func id(_ name: String) -> String {
        name.hasSuffix(":latest") ? String(name.dropLast(":latest".count)) : name
    }

    /// The models that this host lends.
    package static func tags(_ models: [Hearth_V1_Model]) -> JSONOutput {
        .object([
            (
                "models",
                .list(
                    models.map { model in
                        .object(
                            named(model) + [
                                ("modified_at", .string(OllamaTime.text(0))), ("capabilities", capabilities(model)),
                            ])
                    })
            )
        ])
    }

    /// Those in memory.
    package static func ps(_ models: [Hearth_V1_Model]) -> JSONOutput {
        .object([
            (
                "models",
                .list(
                    models.filter { $0.state == .ready }.map { model in
                        .object(
                            named(model) + [
                                ("expires_at", .string(noEnd)), ("size_vram", .integer(0)),
                                ("context_length", .integer(Int64(model.maxContextTokens))),
                            ])
                    })
            )
        ])
    }

    /// Until when a model is kept is the owner's to know. Clients take one whose time has passed for one that is not in
    /// memory, so that this is far away; 2200 is in the range of all their types.
    private static let noEnd = "2200-01-01T00:00:00Z"

    /// The model of that name, as the agent understands names; throws 404 where there is none, and 400 for a part of
    /// several names. `models`: all that this host lends.
    package static func show(
        _ request: OllamaShowRequest, among models: [Hearth_V1_Model]
    ) throws(HTTPFailure) -> JSONOutput {
        let name = request.model
        let exact = models.filter { $0.id == name }
        let named = exact.isEmpty ? models.filter { $0.id.hasPrefix("\(name):") } : exact
        guard let model = named.first else {
            throw HTTPFailure(
                404, type: "invalid_request_error", code: "model_not_found", param: "model",
                "'\(name)' is no model of this host; /api/tags lists them")
        }
        guard named.count == 1 else {
            throw .invalid("model", "'\(name)' is several: \(named.map(\.id).joined(separator: ", "))")
        }
        return object(model)
    }

    private static func object(_ model: Hearth_V1_Model) -> JSONOutput {
        // Clients look for the context's length behind the architecture's name, which is not known here.
        var info: [(String, JSONOutput)] = [
            ("general.architecture", .string("unknown")), ("general.basename", .string(model.id)),
        ]
        if model.maxContextTokens > 0 {
            info.append(("unknown.context_length", .integer(Int64(model.maxContextTokens))))
        }
        if model.hasEmbedding {
            info.append(("unknown.embedding_length", .integer(Int64(model.embedding.dimensions))))
        }
        return .object([
            ("license", .string("")), ("modelfile", .string("")), ("parameters", .string("")),
            ("template", .string("")), ("details", details), ("model_info", .object(info)),
            ("capabilities", capabilities(model)), ("modified_at", .string(OllamaTime.text(0))),
        ])
    }

    private static func named(_ model: Hearth_V1_Model) -> [(String, JSONOutput)] {
        // Ollama's own command shows the first 12 digits, and fails where there are fewer.
        let digest = model.digest.isEmpty ? String(repeating: "0", count: 64) : hexadecimal(model.digest)
        return [
            ("name", .string(model.id)), ("model", .string(model.id)), ("size", .integer(0)),
            ("digest", .string(digest)), ("details", details),
        ]
    }

    private static var details: JSONOutput {
        .object([
            ("parent_model", .string("")), ("format", .string("")), ("family", .string("")), ("families", .list([])),
            ("parameter_size", .string("")), ("quantization_level", .string("")),
        ])
    }

    private static let capabilityNames: [(own: String, theirs: String)] = [
        ("generate", "completion"), ("tools", "tools"), ("reasoning", "thinking"), ("images", "vision"),
        ("audio", "audio"), ("embed", "embedding"),
    ]

    private static func capabilities(_ model: Hearth_V1_Model) -> JSONOutput {
        .list(
            capabilityNames.filter { model.capabilities.contains($0.own) }.map { .string($0.theirs) })
    }
}

/// A request of Ollama's `/api/show`.
package struct OllamaShowRequest: Equatable, Sendable {
    package var model: String

    package init(_ body: [UInt8]) throws(HTTPFailure) {
        // There is nothing more to say of a model.
        let request = try RequestObject(
            body: body, known: ["model", "name", "options", "system", "template"], withoutEffect: ["verbose"])
        let remedy = "the model is shown as it is lent; leave it out"
        try request.refuse(unlessEmpty: [("options", remedy), ("system", remedy), ("template", remedy)])
        model = OllamaModels.id(try request.modelOrName())
    }
}
