internal import Foundation
internal import Glibc
internal import LinuxSystem

/// The file of a host's keys, `keys.json` in the state folder: mode 0600, replaced as a whole
/// (`FileBytes.replace`), so that a reader sees the old keys or the new ones and never a part.
///
/// Earlier versions called them tokens and kept them in `tokens.json`. That file is read while there is no `keys.json`,
/// and removed once the keys are written.
package struct KeyFile: Sendable {
    package let path: String
    private let olderPath: String
    private let folder: String

    /// Every file whose change may change the keys.
    package var paths: [String] { [path, olderPath] }

    package init(folder: String) {
        self.folder = folder
        path = folder + "/keys.json"
        olderPath = folder + "/tokens.json"
    }

    /// Nil when there is no such file. Throws when other users could read it, or when its contents are invalid.
    package func read() throws(AccessError) -> KeyBook? {
        // `keys.json` is tried twice: between the first two attempts the keys may have been written anew, and the older
        // file removed.
        for place in [path, olderPath, path] {
            if let book = try read(place) { return book }
        }
        return nil
    }

    private func read(_ path: String) throws(AccessError) -> KeyBook? {
        let bytes: [UInt8]
        do throws(LinuxError) {
            let file = try Descriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            let status = try FileFacts(of: file, name: path)
            guard status.kind == .regular else { throw LinuxError(code: EINVAL, operation: "read \(path)") }
            guard status.permissions & 0o077 == 0 else {
                throw LinuxError(code: EPERM, operation: "trust \(path), which is open to others (chmod 600 it)")
            }
            bytes = try FileBytes.read(file, max: AccessLimits.inForce.keyFileBytesMax, name: path)
        } catch {
            if error.code == ENOENT { return nil }
            throw AccessError("the keys cannot be read: \(error)", isTransient: error.isTransient)
        }
        guard !bytes.isEmpty else {
            throw AccessError("\(path) is empty; \(Self.remedy)")
        }
        do {
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            return try decoder.decode(KeyBook.self, from: Data(bytes))
        } catch let error as AccessError {
            throw AccessError("\(path): \(error)")
        } catch {
            throw AccessError("\(path) is no file of keys\(Self.where(error)); \(Self.remedy)")
        }
    }

    private static let remedy =
        "put back a copy of it, or put it right, or remove it and make the keys anew with 'hearth key create'"

    /// The error and its place in the file: " (keys, 3, limits: it is unknown)".
    private static func `where`(_ error: any Error) -> String {
        let context: DecodingError.Context
        switch error as? DecodingError {
        case .dataCorrupted(let found), .keyNotFound(_, let found), .typeMismatch(_, let found),
            .valueNotFound(_, let found):
            context = found
        default: return ""
        }
        let place = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ", ")
        let what = context.debugDescription
        return place.isEmpty ? " (\(what))" : " (\(place): \(what))"
    }

    /// Reads, changes and replaces the file, one process at a time (flock(2) on the folder).
    package func change<Result>(
        _ change: (inout KeyBook) throws(AccessError) -> Result
    ) throws(AccessError) -> Result {
        let lock = try locked()
        defer { _ = flock(lock.raw, LOCK_UN) }
        var book = try read() ?? KeyBook()
        let result = try change(&book)
        try write(book)
        return result
    }

    /// If there is no file yet, writes what `make` puts into an empty book, and returns its result; nil, with nothing
    /// done, if there is one.
    package func createFirst<Result>(
        _ make: (inout KeyBook) throws(AccessError) -> Result
    ) throws(AccessError) -> Result? {
        let lock = try locked()
        defer { _ = flock(lock.raw, LOCK_UN) }
        guard try read() == nil else { return nil }
        var book = KeyBook()
        let result = try make(&book)
        try write(book)
        return result
    }

    private func locked() throws(AccessError) -> Descriptor {
        do throws(LinuxError) {
            let descriptor = try Descriptor.open(folder, O_RDONLY | O_DIRECTORY)
            while flock(descriptor.raw, LOCK_EX) != 0 {
                guard errno == EINTR else { throw LinuxError.last("lock \(folder)") }
            }
            return descriptor
        } catch {
            throw AccessError("the folder of keys cannot be used: \(error); name the agent's with --state")
        }
    }

    private func write(_ book: KeyBook) throws(AccessError) {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(book) else { throw AccessError("the keys cannot be written as JSON") }
        do throws(LinuxError) {
            // Root makes keys for an agent that runs as another user, which owns the folder.
            let owner = SystemUser.currentIsRoot ? FileOwner(of: folder) : nil
            try FileBytes.replace(path, with: Array(data) + [UInt8(ascii: "\n")], owner: owner)
            // A revoked key must not come back from the older file.
            guard unlink(olderPath) == 0 || errno == ENOENT else { throw LinuxError.last("remove \(olderPath)") }
        } catch {
            throw AccessError("the keys cannot be kept: \(error)")
        }
    }
}
