internal import Glibc
internal import StrictJSON

/// Reads the settings: flags over environment over file. Anything that is not understood is refused in every source,
/// even where another source wins.
package enum SettingsReader {
    /// `flags` holds the settings of the command line, as written. An error names the source, the setting, the expected
    /// and the given value.
    package static func read(
        flags: [HostConfiguration.Key: [String]], environment: [String: String], file: String?
    ) throws(HostError) -> HostConfiguration {
        var configuration = HostConfiguration()
        if let file { try take(file, in: &configuration) { () throws(JSONError) in try JSONNode.read(file: file) } }
        for (key, variable, text) in try SettingsEnvironment.settings(in: environment) {
            configuration.note(name: variable, key.variable, in: "the environment")
            try key.setting.set(
                key.setting.takesSeveral ? SettingsEnvironment.list(text) : [text], in: &configuration,
                place: variable, .variable)
        }
        for (key, texts) in flags.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            try key.setting.set(texts, in: &configuration, place: key.flag, .flag)
        }
        return try configuration.validated()
    }

    /// The settings of a file's text alone, which may need others to be complete. `file` is for the error.
    static func settings(in text: [UInt8], file: String) throws(HostError) -> HostConfiguration {
        var configuration = HostConfiguration()
        try take(file, in: &configuration) { () throws(JSONError) in try JSONNode.parse(text, file: file) }
        return configuration
    }

    private static func take(
        _ file: String, in configuration: inout HostConfiguration, _ read: () throws(JSONError) -> JSONNode
    ) throws(HostError) {
        var given: Set<HostConfiguration.Key> = []
        for member in try members(file, read) {
            let setting = try setting(member, file: file)
            guard given.insert(setting.key).inserted else {
                throw HostError(
                    "\(file):\(member.line): '\(setting.key.rawValue)' is given twice, once by an older name; "
                        + "keep one of them")
            }
            configuration.note(name: member.key, setting.key.rawValue, in: "\(file):\(member.line)")
            try setting.set(
                setting.texts(of: member, file: file), in: &configuration,
                place: "\(file):\(member.node.line): '\(member.key)'", .json)
        }
    }

    private static func members(
        _ file: String, _ read: () throws(JSONError) -> JSONNode
    ) throws(HostError) -> [JSONNode.Member] {
        do throws(JSONError) {
            let node = try read()
            guard case .object(let members) = node.value else {
                throw JSONError(file: file, line: node.line, "write one JSON object, not \(node.found)")
            }
            return members
        } catch {
            throw HostError("\(error)")
        }
    }

    private static func setting(_ member: JSONNode.Member, file: String) throws(HostError) -> Setting {
        guard let key = HostConfiguration.Key(name: member.key) else {
            throw HostError(
                "\(file):\(member.line): there is no setting \(HostConfiguration.Key.refusal(of: member.key))")
        }
        return key.setting
    }
}

extension HostConfiguration {
    /// Records that a setting was given by another name than its present one.
    fileprivate mutating func note(name: String, _ present: String, in place: String) {
        if name != present { olderNames.append("\(place): '\(name)' is called '\(present)' now") }
    }
}

extension HostConfiguration.Key {
    /// "'x' (did you mean 'y'?); there are ...".
    static func refusal(of name: String) -> String {
        let known = allCases.map(\.rawValue).sorted()
        return "'\(name)'\(NearestName.hint(for: name, among: known)); there are \(known.joined(separator: ", "))"
    }
}
