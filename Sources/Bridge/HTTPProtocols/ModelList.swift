package import InferenceMessages

/// The objects of OpenAI's `/v1/models`.
package enum ModelList {
    /// The models that this host lends.
    package static func object(_ models: [Hearth_V1_Model]) -> JSONOutput {
        .object([("object", .string("list")), ("data", .list(models.map { object($0) }))])
    }

    /// One model. When it was made is not known.
    package static func object(_ model: Hearth_V1_Model) -> JSONOutput {
        .object([
            ("id", .string(model.id)), ("object", .string("model")), ("created", .integer(0)),
            ("owned_by", .string("hearth")),
        ])
    }
}
