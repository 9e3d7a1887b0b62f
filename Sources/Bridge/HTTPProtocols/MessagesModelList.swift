package import InferenceMessages

/// The objects of Anthropic's `/v1/models`, for requests that have the field anthropic-version.
package enum MessagesModelList {
    /// The models that this host lends, on one page.
    package static func object(_ models: [Hearth_V1_Model]) -> JSONOutput {
        func id(_ model: Hearth_V1_Model?) -> JSONOutput { model.map { .string($0.id) } ?? .null }
        return .object([
            ("data", .list(models.map { object($0) })), ("has_more", .bool(false)), ("first_id", id(models.first)),
            ("last_id", id(models.last)),
        ])
    }

    /// One model. When it was made is not known, nor are its longest inputs before it was loaded.
    package static func object(_ model: Hearth_V1_Model) -> JSONOutput {
        let context = model.maxContextTokens
        return .object([
            ("type", .string("model")), ("id", .string(model.id)), ("display_name", .string(model.id)),
            ("created_at", .string("1970-01-01T00:00:00Z")), ("lifecycle", .string("active")),
            ("max_input_tokens", context == 0 ? .null : .integer(Int64(context))),
        ])
    }
}
