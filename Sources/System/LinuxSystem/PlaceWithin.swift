internal import Glibc

/// A file or folder named by a manifest, within a path that the owner named. Users who may write there can make links,
/// so a link that leads out is not followed (openat2(2), RESOLVE_BENEATH). Links that stay within are followed.
package struct PlaceWithin: Hashable, Sendable {
    /// The absolute path that the owner named; links on it are followed if they belong to root or to this user.
    package let root: String
    /// The rest of the path, relative to `root`; empty: the root itself.
    package let within: String

    package init(root: String, within: String) {
        self.root = root
        self.within = within
    }

    package var path: String { within.isEmpty ? root : "\(root)/\(within)" }

    /// Opens what is there, if it meets the demands. Throws if it does not exist, if a link leads out, or if it does
    /// not meet the demands, with the remedy.
    package func open(
        _ demands: PathTrust.Demands = [], _ flags: CInt = Descriptor.pathOnly
    ) throws(TrustError) -> TrustedFile {
        if within.isEmpty { return try PathTrust.open(root, demands.union(.readable), flags) }
        let folder = try PathTrust.open(root, .readable)
        // Not blocking, because opening a FIFO would wait for its writer.
        let waiting = flags & Descriptor.pathOnly == 0 ? O_NONBLOCK | O_NOCTTY : 0
        let file = try attempt { () throws(LinuxError) in
            try folder.descriptor.openBeneath(within, flags | waiting)
        }
        let facts = try attempt { () throws(LinuxError) in try FileFacts(of: file, name: path) }
        try PathTrust.check(facts, demands, path)
        return TrustedFile(descriptor: file, facts: facts, path: "\(folder.path)/\(within)")
    }

    private func attempt<Value: ~Copyable>(_ body: () throws(LinuxError) -> Value) throws(TrustError) -> Value {
        do throws(LinuxError) {
            return try body()
        } catch {
            if error.code == EXDEV {
                throw TrustError(
                    path, "led out of \(root) by a symbolic link; name what the link leads to, and allow reading that")
            }
            let hint = error.code == ENOSYS ? " (openat2, Linux 5.6 or later)" : ""
            throw TrustError(path, cause: LinuxError(code: error.code, operation: "open \(path)\(hint)"))
        }
    }
}
