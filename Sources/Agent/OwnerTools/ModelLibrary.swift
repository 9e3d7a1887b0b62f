internal import BackendSupervisor
internal import LinuxSystem
internal import ModelNaming
internal import SandboxPolicy

/// The models in folders of models, found by their names and settings alone, for commands that change them whether or
/// not an agent runs. A model in parts is here even if parts are missing. Blocks.
package struct ModelLibrary: Equatable, Sendable {
    package struct Entry: Hashable, Sendable {
        /// The id that consumers name it by.
        package let id: String
        /// The path of its file; of a model in parts, that of the first one.
        package let path: String

        package init(id: String, path: String) {
            self.id = id
            self.path = path
        }
    }

    /// Ordered by the folders and then by name.
    package let entries: [Entry]

    private static let namesMax = 1_024

    /// Folders that are not there, or cannot be read, have no models.
    package init(folders: [String]) {
        var entries: [Entry] = []
        for folder in folders {
            let names = (try? FolderNames.names(inFolder: folder, limit: Self.namesMax)) ?? []
            for name in names.sorted() where ModelName.mayBeModel(fileName: name) {
                let path = ModelParts.firstPath(ofModelAt: "\(folder)/\(name)")
                guard !entries.contains(where: { $0.path == path }),
                    (try? FileFacts(following: "\(folder)/\(name)"))?.kind != .folder
                else { continue }
                entries.append(Entry(id: Self.id(ofModelAt: path), path: path))
            }
        }
        self.entries = entries
    }

    private static func id(ofModelAt path: String) -> String {
        let settings = ModelParts.stem(ofModelAt: path) + ".json"
        let said = (try? FileBytes.read(settings, max: SandboxPolicyLimits.manifestBytesMax))
            .flatMap { try? ModelSidecar.parse($0, file: settings) }
        return said?.id ?? ModelName(path: path).id
    }

    /// The entries that a person may mean by an id, or by its name without the quantisation; several where it is
    /// ambiguous.
    package static func matches(_ asked: String, among entries: [Entry]) -> [Entry] {
        let exact = entries.filter { $0.id == asked }
        if !exact.isEmpty { return exact }
        return entries.filter { $0.id.prefix { $0 != ":" } == asked }
    }
}
