/// The access key of a request, as the agent wants it.
package enum CallerKey {
    /// What Hearth's keys begin with.
    private static let prefix = "hearth_"

    /// The agent's metadata `authorization` for these fields of a request; nil: the caller names nobody. OpenAI's and
    /// Ollama's clients send `Authorization: Bearer KEY`, Anthropic's `x-api-key: KEY`. Where no key is asked for, one
    /// that cannot be Hearth's counts as none, because many clients do not start without any.
    package static func authorization(_ authorization: String?, apiKey: String?, isRequired: Bool) -> String? {
        guard let field = authorization ?? apiKey.map({ "Bearer \($0)" }) else { return nil }
        let secret = field.split(separator: " ").last ?? ""
        return isRequired || secret.hasPrefix(prefix) ? field : nil
    }
}
