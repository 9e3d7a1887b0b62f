internal import Foundation
internal import Settings

/// A program named on the command line: a path, or a name that is looked up in PATH. A link is followed, which would be
/// refused in the folder of backends.
struct NamedProgram {
    let folder: String
    let name: String

    init(_ text: String, path: String) throws(HostError) {
        let candidates = text.contains("/") ? [text] : path.split(separator: ":").map { "\($0)/\(text)" }
        guard let found = candidates.first(where: FileManager.default.isExecutableFile) else {
            throw HostError("'\(text)' is no executable file\(text.contains("/") ? "" : " in PATH"); name its path")
        }
        let file = URL(fileURLWithPath: found).resolvingSymlinksInPath()
        folder = file.deletingLastPathComponent().path
        name = file.lastPathComponent
    }
}
