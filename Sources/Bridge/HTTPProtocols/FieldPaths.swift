/// Paths of hearth.v1 as the paths of a request's own fields.
enum FieldPaths {
    /// What OpenAI's protocol has on the top level of every request for a turn.
    static let openAI: [(String, String)] = [
        ("stopping.min_tokens", "min_tokens"), ("stopping.stop", "stop"), ("sampling.logit_bias", "logit_bias"),
        ("sampling.temperature", "temperature"), ("sampling.top_p", "top_p"), ("sampling.top_k", "top_k"),
        ("sampling.min_p", "min_p"), ("sampling.frequency_penalty", "frequency_penalty"),
        ("sampling.presence_penalty", "presence_penalty"), ("sampling.repetition_penalty", "repetition_penalty"),
        ("sampling.seed", "seed"), ("choices", "n"),
    ]

    /// The first of the pairs whose path holds the field puts its own there; what is below stays. A field that none
    /// holds has its own path in hearth.v1.
    static func own(_ field: String, _ pairs: [(String, String)]) -> String {
        for (theirs, own) in pairs where isWithin(field, theirs) { return own + field.dropFirst(theirs.count) }
        return field
    }

    /// Whether it is this path, or one below it.
    static func isWithin(_ field: String, _ path: String) -> Bool {
        field == path || field.hasPrefix(path + "[") || field.hasPrefix(path + ".")
    }
}
