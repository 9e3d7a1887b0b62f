internal import Cryptography
internal import Glibc
internal import LinuxSystem

/// The SHA-256 of files.
enum FileDigest {
    /// Reads all of a file and leaves its offset where it was; blocks. `isCalledOff` is asked after each mebibyte.
    static func sha256(
        _ file: borrowing Descriptor, path: String, isCalledOff: () -> Bool = { false }
    ) throws -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var hash = SHA256()
        var offset = 0
        while true {
            if isCalledOff() { throw SupervisorError("reading \(path) was called off", isTransient: true) }
            // pread leaves the descriptor's offset, which a backend may share, at the beginning.
            let count = try checked("read \(path)") { pread(file.raw, buffer.baseAddress, buffer.count, off_t(offset)) }
            if count == 0 { return hash.finalize() }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += count
        }
    }

    /// The digest of an open file, from the cache or by reading it. Throws when the file changes meanwhile.
    static func sha256(
        _ file: borrowing Descriptor, _ facts: FileFacts, path: String, digests: DigestCache,
        isCalledOff: () -> Bool = { false }
    ) throws -> [UInt8] {
        if let known = digests.digest(of: facts) { return known }
        let begun = FileFacts.clockNanoseconds()
        let digest = try sha256(file, path: path, isCalledOff: isCalledOff)
        guard try FileFacts(of: file, name: path) == facts else {
            throw SupervisorError("\(path) changed while it was read; put it in place with: mv", isTransient: true)
        }
        digests.remember(digest, of: facts, readFrom: begun)
        return digest
    }
}
