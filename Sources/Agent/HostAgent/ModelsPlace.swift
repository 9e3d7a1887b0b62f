internal import Foundation
package import Settings

/// The folders of models, for the owner's commands, which work whether or not an agent runs.
package enum ModelsPlace {
    /// Those that a command's flag names, or the environment, or the usual one.
    package static func folders(
        _ asked: [String], state: String?, environment: [String: String]
    ) throws(HostError) -> [String] {
        let said = asked.isEmpty ? try SettingsEnvironment.texts(of: .models, in: environment) : asked
        if !said.isEmpty { return said.map { URL(fileURLWithPath: $0).standardizedFileURL.path } }
        let state = try StateFolder.asked(state, environment: environment)
        return [ModelsFolder.usual(state: state, environment: environment)].compactMap { $0 }
    }
}
