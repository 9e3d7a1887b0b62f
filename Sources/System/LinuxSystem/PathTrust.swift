internal import Glibc

/// Decides whether a file may be relied on; no other code does. The caller states its demands, opens the file here, and
/// gets the very file that was checked.
///
/// A path is walked as the kernel walks it (path_resolution(7)), folder by folder and link by link, each held open
/// while the next is looked up in it, so that what was checked cannot be replaced meanwhile.
package enum PathTrust {
    /// Demands on the file or folder that a path leads to.
    package struct Demands: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }

        /// A regular file.
        package static let regular = Demands(rawValue: 1 << 0)
        /// A folder.
        package static let folder = Demands(rawValue: 1 << 1)
        /// It belongs to root or to this process's user.
        package static let trustedOwner = Demands(rawValue: 1 << 2)
        /// The same, or, in a namespace where not every user exists, to an unmapped one, as which the machine's root
        /// appears.
        package static let trustedOrUnmappedOwner = Demands(rawValue: 1 << 3)
        /// Only its owner and root may write to it. A group may if it has no other member, because many systems give
        /// each user a group of the same name with the right to write.
        package static let ownerWrites = Demands(rawValue: 1 << 4)
        /// Not every user may write to it.
        package static let notEverybodyWrites = Demands(rawValue: 1 << 5)
        package static let executable = Demands(rawValue: 1 << 6)
        /// It is neither set-user-id nor set-group-id.
        package static let noSetID = Demands(rawValue: 1 << 7)
        /// The path's last part is the file itself and no symbolic link.
        package static let noLink = Demands(rawValue: 1 << 8)
        /// Every link that is followed belongs to a trusted or an unmapped owner.
        package static let trustedLinks = Demands(rawValue: 1 << 9)
        /// Every folder on the way, and every link, belongs to such an owner, and no other user may rename entries of
        /// the folder. If others may write but the sticky bit is set, as in /tmp, they can rename only their own
        /// entries.
        package static let trustedWay = Demands(rawValue: 1 << 10)

        /// The demands on each kind of file.
        package static let backendsFolder: Demands = [.folder, .trustedOwner, .ownerWrites, .trustedWay]
        package static let backendExecutable: Demands = [
            .regular, .trustedOwner, .ownerWrites, .executable, .noSetID, .noLink, .trustedWay,
        ]
        package static let backendManifest: Demands = [.regular, .trustedOwner, .ownerWrites, .noLink, .trustedWay]
        /// The file of a policy; a package manager may have made the links on the way.
        package static let policy: Demands = [.regular, .trustedOrUnmappedOwner, .ownerWrites, .trustedWay]
        package static let launcher: Demands = [
            .regular, .trustedOrUnmappedOwner, .ownerWrites, .executable, .noSetID, .trustedWay,
        ]
        /// The program that runs a backend's script.
        package static let interpreter = launcher
        /// A path that the owner lets backends read, whoever fills it: other users must not be able to redirect it.
        package static let readable: Demands = [.trustedLinks]
        /// A user who can write weights decides only what the model answers.
        package static let weights: Demands = [.regular, .notEverybodyWrites]
        /// The agent's own files.
        package static let state: Demands = [.regular, .trustedOwner, .ownerWrites, .noLink]
    }

    /// As many links as the kernel follows (path_resolution(7)).
    private static let linksMax = 40

    /// Opens what is at a path, if it meets the demands; with `Descriptor.pathOnly` in `flags` it is held and not
    /// opened for reading. Throws if it does not exist, or does not meet the demands, with the remedy.
    package static func open(
        _ path: String, _ demands: Demands, _ flags: CInt = Descriptor.pathOnly
    ) throws(TrustError) -> TrustedFile {
        var walk = try attempt(path) { () throws(LinuxError) in try PathWalk() }
        var rest = PathWalk.parts(of: PathWalk.absolute(path))
        var links = 0
        while let part = rest.popLast() {
            if part == ".." {
                try attempt(path) { () throws(LinuxError) in try walk.goUp() }
                continue
            }
            if demands.contains(.trustedWay) { try checkFolder(walk.facts, at: walk.place, on: path) }
            let entry = try attempt(path) { () throws(LinuxError) in try walk.entry(part) }
            let facts = try attempt(path) { () throws(LinuxError) in try FileFacts(of: entry, name: path) }
            if facts.kind == .symbolicLink {
                if rest.isEmpty, demands.contains(.noLink) { try check(facts, demands, path) }
                if !demands.isDisjoint(with: [.trustedWay, .trustedLinks]) {
                    try checkOwner(facts, at: walk.place(of: part), on: path)
                }
                links += 1
                let target = try attempt(path) { () throws(LinuxError) in
                    guard links <= linksMax else { throw LinuxError(code: ELOOP, operation: "follow \(path)") }
                    return try FolderNames.linkTarget(entry, name: path)
                }
                if target.hasPrefix("/") {
                    walk = try attempt(path) { () throws(LinuxError) in try PathWalk() }
                }
                rest += PathWalk.parts(of: target)
            } else if rest.isEmpty {
                try check(facts, demands, path)
                return try reopen(entry, facts, in: walk, named: part, demands, flags, path)
            } else {
                guard facts.kind == .folder else {
                    throw TrustError(
                        path, cause: LinuxError(code: ENOTDIR, operation: "go through \(walk.place(of: part))"))
                }
                walk.goDown(entry, facts, part)
            }
        }
        // The path ends at "/", "." or "..", in a folder that was reached already.
        try check(walk.facts, demands, path)
        let facts = walk.facts
        let place = walk.place
        let folder = try attempt(path) { () throws(LinuxError) in try walk.folder.openBelow(".", flags) }
        return TrustedFile(descriptor: folder, facts: facts, path: place)
    }

    /// Why a path may not be relied on, as a sentence with the remedy; nil if it may, or does not exist.
    package static func doubt(about path: String, _ demands: Demands) -> String? {
        do throws(TrustError) {
            _ = try open(path, demands).facts
            return nil
        } catch {
            return error.cause == nil ? error.description : nil
        }
    }

    /// Throws if facts do not meet the demands; does not check the folders on the way.
    package static func check(_ facts: FileFacts, _ demands: Demands, _ path: String) throws(TrustError) {
        if demands.contains(.noLink), facts.kind == .symbolicLink {
            throw TrustError(path, "a symbolic link; put the file itself in its place")
        }
        if demands.contains(.regular), facts.kind != .regular {
            throw TrustError(path, facts.kind == .folder ? "a folder" : "no regular file")
        }
        if demands.contains(.folder), facts.kind != .folder { throw TrustError(path, "no folder") }
        let isTrusted = !demands.contains(.trustedOwner) || isTrustedOwner(facts.owner)
        guard isTrusted, !demands.contains(.trustedOrUnmappedOwner) || isTrustedOrUnmapped(facts.owner) else {
            throw TrustError(
                path, "owned by user \(facts.owner), neither this user nor root; change that with: chown")
        }
        if demands.contains(.ownerWrites), othersMayWrite(to: facts) {
            throw TrustError(path, "writable by others than its owner; forbid that with: chmod go-w '\(path)'")
        }
        if demands.contains(.notEverybodyWrites), facts.permissions & 0o002 != 0 {
            throw TrustError(path, "writable by everyone; forbid that with: chmod o-w '\(path)'")
        }
        if demands.contains(.noSetID), facts.permissions & 0o6000 != 0 {
            throw TrustError(path, "set-user-id or set-group-id; remove that with: chmod ug-s '\(path)'")
        }
        if demands.contains(.executable), facts.permissions & 0o111 == 0 {
            throw TrustError(path, "not executable; if it is to be run, make it so with: chmod +x '\(path)'")
        }
    }
}

// Which owners are trusted.
extension PathTrust {
    private static func isTrustedOwner(_ owner: UInt32) -> Bool { owner == 0 || owner == geteuid() }

    private static func isTrustedOrUnmapped(_ owner: UInt32) -> Bool {
        isTrustedOwner(owner) || owner == Namespaces.unmappedUser()
    }

    private static func othersMayWrite(to facts: FileFacts) -> Bool {
        guard facts.permissions & 0o022 != 0 else { return false }
        return facts.permissions & 0o002 != 0 || !SystemUser.isAlone(inGroup: facts.group, user: facts.owner)
    }

    private static func checkFolder(_ facts: FileFacts, at place: String, on path: String) throws(TrustError) {
        try checkOwner(facts, at: place, on: path)
        if facts.permissions & 0o1000 == 0, othersMayWrite(to: facts) {
            throw TrustError(
                path,
                "replaceable by other users, who may write to \(place) on the way to it; run: chmod go-w '\(place)'")
        }
    }

    private static func checkOwner(_ facts: FileFacts, at place: String, on path: String) throws(TrustError) {
        guard isTrustedOrUnmapped(facts.owner) else {
            throw TrustError(
                path,
                "replaceable by user \(facts.owner), to whom \(place) on the way to it belongs; keep it where all "
                    + "folders and links on the way belong to root or to this user")
        }
    }
}

extension PathTrust {
    /// The entry itself if it is only to be held; otherwise the same file, opened with `flags`.
    private static func reopen(
        _ entry: consuming Descriptor, _ facts: FileFacts, in walk: borrowing PathWalk, named name: Substring,
        _ demands: Demands, _ flags: CInt, _ path: String
    ) throws(TrustError) -> TrustedFile {
        let place = walk.place(of: name)
        if flags & Descriptor.pathOnly != 0 {
            return TrustedFile(descriptor: entry, facts: facts, path: place)
        }
        // Not blocking, because opening a FIFO would wait for its writer.
        let file = try attempt(path) { () throws(LinuxError) in
            try walk.folder.openBelow(String(name), flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        }
        let opened = try attempt(path) { () throws(LinuxError) in try FileFacts(of: file, name: path) }
        try check(opened, demands, path)
        return TrustedFile(descriptor: file, facts: opened, path: place)
    }

    private static func attempt<Value: ~Copyable>(
        _ path: String, _ body: () throws(LinuxError) -> Value
    ) throws(TrustError) -> Value {
        do throws(LinuxError) {
            return try body()
        } catch {
            throw TrustError(path, cause: LinuxError(code: error.code, operation: "open \(path)"))
        }
    }
}

/// What `PathTrust` has opened.
package struct TrustedFile: ~Copyable {
    package let descriptor: Descriptor
    /// The facts that the demands were checked on.
    package let facts: FileFacts
    /// Absolute, without links and "..": where the walk ended.
    package let path: String

    /// Its bytes, if they are no more than `max`; for a file that was opened for reading.
    package func read(max: Int) throws(TrustError) -> [UInt8] {
        do throws(LinuxError) {
            return try FileBytes.read(descriptor, max: max, name: path)
        } catch {
            throw TrustError(path, cause: error)
        }
    }
}

/// Why a file is not relied on.
package struct TrustError: Error, Equatable, Sendable, CustomStringConvertible {
    package let path: String
    /// The reason with the remedy, as the end of a sentence that begins with the file and "is".
    package let reason: String
    /// The kernel's error, if the kernel refused; nil if the file does not meet the demands.
    package let cause: LinuxError?

    init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
        cause = nil
    }

    init(_ path: String, cause: LinuxError) {
        self.path = path
        reason = "out of reach: \(cause)"
        self.cause = cause
    }

    /// Whether another attempt may succeed without a repair.
    package var isTransient: Bool { cause?.isTransient ?? false }

    /// Whether the file does not exist.
    package var isAbsence: Bool { cause?.code == ENOENT || cause?.code == ENOTDIR }

    package var description: String { cause?.description ?? "\(path) is \(reason)" }
}
