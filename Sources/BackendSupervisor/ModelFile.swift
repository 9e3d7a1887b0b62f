internal import Glibc
internal import LinuxSystem
internal import Synchronization
internal import TLSSession

/// A model's weights: an open read-only file and its digest. Closed when the last owner lets go of it.
final class ModelFile: Sendable {
    let descriptor: Descriptor
    let byteCount: UInt64
    /// SHA-256, 32 bytes.
    let digest: [UInt8]

    /// Opens and digests a file as weights have to be (`PathTrust.Demands.weights`); blocks for as long as reading all of it
    /// takes, unless its digest is known or it is called off.
    init(_ place: PlaceWithin, digests: DigestCache, isCalledOff: () -> Bool = { false }) throws {
        let path = place.path
        let file = try place.open(.weights, O_RDONLY)
        let facts = file.facts
        descriptor = try file.descriptor.duplicate()
        byteCount = facts.byteCount
        if let known = digests[facts] {
            digest = known
            return
        }
        digest = try Self.digest(descriptor, path: path, isCalledOff)
        guard try FileFacts(of: descriptor, name: path) == facts else {
            throw SupervisorError(
                "the model file \(path) changed while it was read; put it in place with: mv", isTransient: true)
        }
        digests[facts] = digest
    }

    private static func digest(
        _ file: borrowing Descriptor, path: String, _ isCalledOff: () -> Bool
    ) throws -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var hash = SHA256()
        var offset = 0
        while true {
            if isCalledOff() {
                throw SupervisorError("reading the model file \(path) was called off", isTransient: true)
            }
            // pread leaves the descriptor's offset, which the backend shares, at the beginning.
            let count = try checked("read \(path)") { pread(file.raw, buffer.baseAddress, buffer.count, off_t(offset)) }
            if count == 0 { return hash.finalize() }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += count
        }
    }
}

/// The digests of files that were read before, so that a restart does not read gigabytes again. Any thread.
final class DigestCache: Sendable {
    private static let entriesMax = 256
    private let digests = Mutex<[FileFacts: [UInt8]]>([:])

    subscript(identity: FileFacts) -> [UInt8]? {
        get { digests.withLock { $0[identity] } }
        set {
            digests.withLock { digests in
                if digests.count >= Self.entriesMax { digests.removeAll() }
                digests[identity] = newValue
            }
        }
    }
}
