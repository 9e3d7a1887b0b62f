internal import StrictJSON

/// The environment variables of settings, and those that look like one.
package enum SettingsEnvironment {
    /// The prefix of every setting's name in the environment.
    static let prefix = "HEARTH_"

    /// The number of the descriptor that the log of an agent goes to once it has taken over from the one that started it,
    /// which reads its standard error until then.
    package static let laterLog = "HEARTH_LATER_STDERR"

    /// Variables of other parts: the consumer's commands, the agent that starts another one in its place, and the scripts
    /// that build and test Hearth.
    static let ofOthers: Set<String> = [
        laterLog,
        "HEARTH_KEY", "HEARTH_TOKEN", "HEARTH_PREFIX", "HEARTH_LLAMA_PREFIX", "HEARTH_WARNINGS_AS_ERRORS",
        "HEARTH_CONSUMER_WORK", "HEARTH_STREAMS", "HEARTH_STALL_SECONDS", "HEARTH_SLOW_READERS",
        "HEARTH_ATTACK_SECONDS", "HEARTH_KEYS", "HEARTH_SANITIZER", "HEARTH_FUZZ",
    ]

    /// The settings in the environment. Throws for an empty variable, and for one that is no setting but was probably
    /// meant to be: its name is near a setting's, or contains a word of one.
    static func settings(
        in environment: [String: String]
    ) throws(HostError) -> [(key: HostConfiguration.Key, variable: String, text: String)] {
        var settings: [(key: HostConfiguration.Key, variable: String, text: String)] = []
        for (variable, text) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix(prefix) {
            guard let key = key(of: variable) else {
                if isProbablyMeant(variable, text) { throw refusal(of: variable) }
                continue
            }
            if let other = settings.first(where: { $0.key == key }) {
                throw HostError("\(other.variable) and \(variable) are one setting: unset the older name")
            }
            settings.append((key, variable, try checked(text, key)))
        }
        return settings
    }

    /// The text of one setting in the environment, for commands that need no other; nil: it is not set. Throws when it
    /// is empty.
    package static func text(
        of key: HostConfiguration.Key, in environment: [String: String]
    ) throws(HostError) -> String? {
        guard let text = environment[key.variable] else { return nil }
        return try checked(text, key)
    }

    /// The same for a setting that is a list; empty: it is not set.
    package static func texts(
        of key: HostConfiguration.Key, in environment: [String: String]
    ) throws(HostError) -> [String] {
        try text(of: key, in: environment).map(list) ?? []
    }

    /// The variables that are neither a setting nor anything else that Hearth knows of, sorted: for a warning.
    package static func unknown(in environment: [String: String]) -> [String] {
        environment.filter { variable, text in
            variable.hasPrefix(prefix) && !ofOthers.contains(variable) && !isOfOrchestrator(variable, text)
                && key(of: variable) == nil
        }.keys.sorted()
    }

    /// A list in a variable: its entries are separated by commas, with or without blanks.
    package static func list(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map { entry in
            String(entry.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }

    private static func checked(_ text: String, _ key: HostConfiguration.Key) throws(HostError) -> String {
        guard !text.isEmpty else {
            throw HostError(
                "\(key.variable) is empty: it must be \(key.setting.expected(.variable)); or unset it")
        }
        return text
    }

    private static func isProbablyMeant(_ variable: String, _ text: String) -> Bool {
        guard !ofOthers.contains(variable), !isOfOrchestrator(variable, text) else { return false }
        let name = name(of: variable)
        let words = Set(known.flatMap { $0.split(separator: "-") })
        return onlyFlags.contains(name) || name.split(separator: "-").contains { words.contains($0) }
            || NearestName.nearest(to: name, among: known, distanceMax: max(1, name.utf8.count / 3)) != nil
    }

    /// The setting that a variable is for, by its present name or an older one.
    private static func key(of variable: String) -> HostConfiguration.Key? {
        HostConfiguration.Key.allCases.first { $0.variable == variable }
            ?? HostConfiguration.Key.older.first { prefix + $0.key.uppercased().replacing("-", with: "_") == variable }?
            .value
    }

    private static var known: [String] { HostConfiguration.Key.allCases.map(\.rawValue).sorted() }

    /// The name that a flag or a file would have.
    private static func name(of variable: String) -> String {
        variable.dropFirst(prefix.count).lowercased().replacing("_", with: "-")
    }

    /// Flags of `hearth serve` that are no settings.
    private static let onlyFlags: Set<String> = ["config", "grace", "take-over"]

    private static func refusal(of variable: String) -> HostError {
        let name = name(of: variable)
        if onlyFlags.contains(name) {
            return HostError("\(variable) is no setting: give --\(name) on the command line, and unset it")
        }
        let meant = NearestName.nearest(to: name, among: known, distanceMax: max(2, name.utf8.count / 3))
        let hint =
            meant.flatMap(HostConfiguration.Key.init(rawValue:)).map { " (did you mean '\($0.variable)'?)" } ?? ""
        return HostError(
            "there is no setting '\(variable)'\(hint), so unset it; there are \(prefix) and one of "
                + known.map { $0.uppercased().replacing("-", with: "_") }.joined(separator: ", "))
    }

    /// Kubernetes, and links of older container engines, describe a service called "hearth" to every process in such
    /// variables.
    private static func isOfOrchestrator(_ variable: String, _ text: String) -> Bool {
        variable.hasSuffix("_SERVICE_HOST") || variable.contains("_SERVICE_PORT")
            || variable.wholeMatch(of: /.*_PORT_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?/) != nil
            || variable.hasSuffix("_PORT") && ["tcp://", "udp://", "sctp://"].contains { text.hasPrefix($0) }
    }
}
