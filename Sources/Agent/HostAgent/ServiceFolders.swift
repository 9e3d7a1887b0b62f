internal import Glibc
internal import LinuxSystem
internal import Settings

/// The folders of an agent that is a service of the machine, below one that belongs to its user: `state`, mode 0700, with
/// its keys, its certificate and its digests; and `models`, mode 2775, where the members of its group put models.
///
/// Earlier versions kept the state in `root` itself, mode 0700, so that nobody could reach the models.
struct ServiceFolders: Equatable, Sendable {
    static let standard = ServiceFolders(root: "/var/lib/hearth")

    let root: String
    var state: String { "\(root)/state" }
    var models: String { "\(root)/models" }

    /// The files of the state that outlive an agent.
    private static let files = ["keys.json", "tokens.json", "key.pem", "certificate.pem", "digests"]
    /// Those that are made anew by each agent.
    private static let passing = ["admin.sock", "take-over.lock"]

    /// Where the state lies now: in `root` as long as no agent of this version has moved it.
    var stateNow: String {
        if exists(state) { return state }
        return (Self.files + Self.passing).contains { exists("\(root)/\($0)") } ? root : state
    }

    /// As root, makes `root` for the service's user if it is missing.
    func makeRoot(for user: SystemUser) throws(HostError) {
        if !exists(root) { try make(root, mode: 0o755, for: user) }
    }

    /// As the service's user, makes what is missing, and moves the state of an earlier version to its place: all of it at
    /// once, or nothing of it, also when it is interrupted. Returns lines for the log.
    func prepare() throws(HostError) -> [String] {
        if !exists(root) { try make(root, mode: 0o755) }
        do {
            let folder = try Descriptor.open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            let facts = try FileFacts(of: folder, name: root)
            guard facts.owner == geteuid() else {
                throw HostError("the folder \(root) belongs to another user: chown it, or name another with --state")
            }
            // Another agent that starts now waits until this one has moved everything.
            _ = try checked("lock \(root)") { flock(folder.raw, LOCK_EX) }
            var log = try move(in: folder)
            log += removeMoved()
            // Others may go through, and not change what is here.
            if facts.permissions & 0o033 != 0o011 {
                try checked("open \(root) to others") { fchmod(folder.raw, 0o755) }
            }
            log += try prepareModels(wasClosed: facts.permissions & 0o011 == 0)
            return log
        } catch let error as HostError {
            throw error
        } catch {
            throw HostError("the state cannot be kept in \(root): \(error); name another folder with --state")
        }
    }

    /// Moves the files of the state out of `root`: links them in a new folder, which then takes the name `state`.
    private func move(in folder: borrowing Descriptor) throws -> [String] {
        let found = Self.files.filter { exists("\(root)/\($0)") }
        guard !exists(state), !found.isEmpty else { return [] }
        guard !answers("\(root)/admin.sock") else {
            throw HostError(
                "an agent of an earlier version runs with its state in \(root): end it first; this one then moves the "
                    + "state to \(state)")
        }
        let new = "\(root)/.state.new"
        // It is left of an attempt that was interrupted.
        for name in Self.files { unlink("\(new)/\(name)") }
        rmdir(new)
        try checked("make \(new)") { mkdir(new, 0o700) }
        for name in found { try checked("link \(new)/\(name)") { link("\(root)/\(name)", "\(new)/\(name)") } }
        let made = try Descriptor.open(new, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try checked("flush \(new)") { fsync(made.raw) }
        try checked("rename \(new)") { rename(new, state) }
        try checked("flush \(root)") { fsync(folder.raw) }
        return ["moved what an earlier version kept in \(root) to \(state): \(found.joined(separator: ", "))"]
    }

    /// Removes from `root` what lies in `state` now.
    private func removeMoved() -> [String] {
        guard exists(state) else { return [] }
        var log: [String] = []
        for name in Self.files {
            guard let old = try? FileFacts(path: "\(root)/\(name)") else { continue }
            if let new = try? FileFacts(path: "\(state)/\(name)"), new.device == old.device, new.inode == old.inode {
                unlink("\(root)/\(name)")
            } else {
                log.append("\(root)/\(name) is not in use: \(state)/\(name) is; remove it")
            }
        }
        for name in Self.passing where !answers("\(root)/admin.sock") { unlink("\(root)/\(name)") }
        return log
    }

    private func prepareModels(wasClosed: Bool) throws(LinuxError) -> [String] {
        if mkdir(models, 0o755) != 0 {
            guard errno == EEXIST else { throw LinuxError.last("make \(models)") }
            // Whoever has opened or closed it since then has meant it.
            guard wasClosed else { return [] }
        }
        // A unit may forbid the set-group-id bit, which is a convenience: new files get the group of the folder.
        guard chmod(models, 0o2775) != 0, chmod(models, 0o775) != 0 else { return [] }
        return ["members of the service's group cannot put models into \(models): chmod 2775 it"]
    }

    /// Makes a folder; as root for another user, who may own the folder above.
    func make(_ path: String, mode: UInt32, for user: SystemUser? = nil) throws(HostError) {
        do throws(LinuxError) {
            try checked("make \(path)") { mkdir(path, 0o700) }
            let made = try Descriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            // That user could have put something else in its place.
            guard try FileFacts(of: made, name: path).owner == geteuid() else {
                throw LinuxError(code: EPERM, operation: "make \(path)")
            }
            if let user { try checked("chown \(path)") { fchown(made.raw, user.uid, user.gid) } }
            try checked("chmod \(path)") { fchmod(made.raw, mode) }
        } catch {
            throw HostError("\(error); name another folder with --state")
        }
    }

    private func exists(_ path: String) -> Bool { (try? FileFacts(path: path)) != nil }

    /// Whether a process accepts connections on a Unix socket.
    private func answers(_ path: String) -> Bool {
        guard let address = try? SocketAddress("unix:\(path)") else { return false }
        return (try? Socket.connect(to: address)) != nil
    }
}
