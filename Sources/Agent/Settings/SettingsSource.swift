internal import Glibc
internal import LinuxSystem

/// Where the settings of an agent come from, so that they can be read again while it runs: its command line, its environment
/// and a file, in this order.
package struct SettingsSource: Sendable {
    private let flags: [HostConfiguration.Key: [String]]
    private let environment: [String: String]
    private let named: String?
    private let usual: String?

    /// `named`: the file that the command line names, which has to be there. `usual`: the one that is read otherwise, where it
    /// is there; nil: none.
    package init(
        flags: [HostConfiguration.Key: [String]], environment: [String: String], named: String?, usual: String?
    ) {
        self.flags = flags
        self.environment = environment
        self.named = named
        self.usual = usual
    }

    /// The path of the file, whether or not it is there; nil: none is read.
    package var file: String? { named ?? usual }

    /// Reads all of them. Blocks as long as the disk takes.
    package func read() throws(HostError) -> HostConfiguration {
        try SettingsReader.read(flags: flags, environment: environment, file: named ?? usual.flatMap(Self.existing))
    }

    /// A file that cannot be looked at is there, and reading it says why not.
    private static func existing(_ path: String) -> String? {
        do throws(LinuxError) {
            _ = try FileFacts(following: path)
            return path
        } catch {
            return error.code == ENOENT ? nil : path
        }
    }
}
