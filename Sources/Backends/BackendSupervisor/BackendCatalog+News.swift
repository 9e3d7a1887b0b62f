internal import Logging

/// What a look at the folder has found that its owner should read in the log. Pure.
extension BackendCatalog {
    struct News: Equatable {
        let level: Logger.Level
        let words: Logger.Message
        var metadata: Logger.Metadata = [:]
    }

    /// What was not so at the look before.
    func news(since before: BackendCatalog) -> [News] {
        var news = ignored.filter { !before.ignored.contains($0) }.map {
            News(level: .info, words: "not a backend: \($0.name) is \($0.reason)")
        }
        func warn(_ words: Logger.Message, _ kind: String, _ name: String, _ reason: String?, _ earlier: String?) {
            guard let reason, !reason.isEmpty, reason != earlier else { return }
            news.append(News(level: .warning, words: words, metadata: [kind: "\(name)", "reason": "\(reason)"]))
        }
        let backends = entries.sorted { $0.key < $1.key }
        for (name, entry) in backends {
            warn("not in force", "backend", name, entry.notice, before.entries[name]?.notice)
        }
        for (name, entry) in backends {
            let isKnown = entry.refusal == before.entries[name]?.refusal
            warn("not trusted", "backend", name, isKnown ? nil : entry.refusal?.words, nil)
        }
        news += unserved.filter { !before.unserved.contains($0) }.map {
            News(level: .info, words: "not served: \($0.path) is \($0.reason)")
        }
        for (name, policy) in policies.sorted(by: { $0.key < $1.key }) {
            warn("not in force", "policy", name, policy.notice, before.policies[name]?.notice)
        }
        return news
    }
}
