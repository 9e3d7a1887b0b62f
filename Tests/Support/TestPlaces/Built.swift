import Foundation

/// The build's products.
package enum Built {
    /// The running test bundle, which is an executable.
    package static let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path

    /// The folder of the executables: the running test bundle's, and where another tool has loaded the bundle, the folder
    /// of the last debug build.
    package static let folder: String = {
        let folders = [bundle, CommandLine.arguments[0]].map {
            URL(fileURLWithPath: $0).deletingLastPathComponent().path
        }
        let found = folders.first { FileManager.default.isExecutableFile(atPath: "\($0)/hearth") }
        return found ?? Repository.root + "/.build/debug"
    }()

    /// An executable by the name of its target.
    package static func path(_ name: String) -> String { "\(folder)/\(name)" }
}
