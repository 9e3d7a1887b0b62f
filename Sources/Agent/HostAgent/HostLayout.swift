internal import Foundation
internal import Installation
internal import Settings

/// The places that an agent works with: its parts, and the folders that its owner chooses.
struct HostLayout: Sendable, Equatable {
    /// The path of `hearth-sandbox`.
    let launcher: String
    let policies: String
    let backends: String
    /// Folders of models, in order of precedence.
    let models: [String]
    let state: String
    /// Those of a service, where the state is a service's.
    var service: ServiceFolders? { state == ServiceFolders.standard.state ? .standard : nil }

    /// The folder of backends is PREFIX/lib/hearth/backends unless another is named. Throws where a part is missing, naming
    /// the flag that says where it is.
    init(_ configuration: HostConfiguration, executable: String, environment: [String: String]) throws(HostError) {
        launcher = try InstalledParts.program("hearth-sandbox", executable: executable)
        policies = try InstalledParts.policies(asked: configuration.policies, executable: executable)
        backends = try HostLayout.backends(configuration, prefix: InstalledParts.prefix(of: executable))
        if let asked = configuration.state {
            state = StateFolder.named(asked)
        } else {
            state = try StateFolder.usual(environment: environment)
        }
        models = try HostLayout.models(configuration, state: state, environment: environment)
    }

    /// The default folder need not exist yet; one that the owner names must.
    private static func models(
        _ configuration: HostConfiguration, state: String, environment: [String: String]
    ) throws(HostError) -> [String] {
        guard !configuration.models.isEmpty else {
            return [ModelsFolder.usual(state: state, environment: environment)].compactMap { $0 }
        }
        var folders: [String] = []
        for path in configuration.models {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
                throw HostError("the folder of models, \(path), does not exist: make it, or name another with --models")
            }
            let folder = URL(fileURLWithPath: path).standardizedFileURL.path
            if !folders.contains(folder) { folders.append(folder) }
        }
        return folders
    }

    private static func backends(_ configuration: HostConfiguration, prefix: URL) throws(HostError) -> String {
        let path = configuration.backends ?? prefix.appending(path: "lib/hearth/backends").path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            throw HostError("the folder of backends, \(path), does not exist: make it, or name another with --backends")
        }
        return path
    }
}
