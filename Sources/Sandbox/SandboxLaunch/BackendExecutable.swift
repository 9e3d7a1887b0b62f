internal import BaseEncodings
internal import Cryptography
internal import Glibc
package import LinuxSystem

/// A backend's executable, checked, hashed and copied once into sealed memory: the hashed bytes are executed, whatever
/// happens to the file afterwards. Owns the memory; launches borrow it.
package struct BackendExecutable: ~Copyable, Sendable {
    package let name: String
    package let path: String
    /// SHA-256 in lower-case hexadecimal digits.
    package let digest: String
    package let byteCount: UInt64
    /// The dynamic loader that the file names; nil for a static executable, which needs no other file to start.
    package let interpreter: String?
    package let memory: Descriptor

    /// The largest file that is accepted.
    package static let byteCountMax: UInt64 = 2 << 30

    /// Opens `name` in `folder` as a backend. Reads the whole file, so call it off the loop. Refuses, with the remedy,
    /// a symbolic link, a script, a set-id file, and a file, or a folder on its path, that other users could change.
    package static func open(folder: String, name: String) throws(SandboxError) -> BackendExecutable {
        guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else {
            throw SandboxError(.executableRefused, "'\(name)' is no file name")
        }
        let path = "\(folder)/\(name)"
        let file = try openTrusted(path)
        let header = try checkedHeader(of: file, path: path)
        let memory = try attempt { () throws(LinuxError) in try Descriptor.executableMemoryFile(name) }
        let (digest, byteCount) = try attempt { () throws(LinuxError) in
            try copy(file.descriptor, to: memory, path: path)
        }
        return BackendExecutable(
            name: name, path: path, digest: digest, byteCount: byteCount, interpreter: header.interpreter,
            memory: memory)
    }

    /// Opens a file that `open` would accept, as far as that shows without reading all of it. Throws what `open`
    /// throws.
    package static func checkedFile(_ path: String) throws(SandboxError) -> TrustedFile {
        let file = try openTrusted(path)
        _ = try checkedHeader(of: file, path: path)
        return file
    }

    private static func checkedHeader(
        of file: borrowing TrustedFile, path: String
    ) throws(SandboxError) -> ExecutableHeader {
        let byteCount = file.facts.byteCount
        guard byteCount <= byteCountMax else {
            throw SandboxError(.executableRefused, "\(path) has \(byteCount) bytes; at most \(byteCountMax)")
        }
        let header = try readHeader(of: file.descriptor, path: path)
        guard byteCount >= header.segmentsEnd else {
            throw SandboxError(
                .executableRefused,
                "\(path) is not whole: it has \(byteCount) bytes of at least \(header.segmentsEnd); copy it again")
        }
        return header
    }

    private static func openTrusted(_ path: String) throws(SandboxError) -> TrustedFile {
        do throws(TrustError) {
            return try PathTrust.open(path, .backendExecutable, O_RDONLY)
        } catch {
            throw SandboxError(.executableRefused, error.description, isTransient: error.isTransient)
        }
    }

    private static func readHeader(
        of file: borrowing Descriptor, path: String
    ) throws(SandboxError) -> ExecutableHeader {
        var bytes = [UInt8](repeating: 0, count: ExecutableHeader.bytesRead)
        let count = try attempt { () throws(LinuxError) in
            try checked("read \(path)") { pread(file.raw, &bytes, bytes.count, 0) }
        }
        do throws(ExecutableHeader.Refusal) {
            return try ExecutableHeader(Array(bytes[..<count]))
        } catch {
            let reason =
                switch error {
                case .script: "is a script; a backend is an ELF executable (for a script, one that embeds it)"
                case .notELF: "is no ELF executable"
                case .otherArchitecture: "is an executable for another kind of machine"
                case .damaged: "is a damaged ELF executable"
                }
            throw SandboxError(.executableRefused, "\(path) \(reason)")
        }
    }

    /// Copies and hashes in one pass, then seals the copy.
    private static func copy(
        _ file: borrowing Descriptor, to memory: borrowing Descriptor, path: String
    ) throws(LinuxError) -> (digest: String, byteCount: UInt64) {
        var hash = SHA256()
        var total: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try checked("read \(path)") { read(file.raw, buffer.baseAddress, buffer.count) }
            if count == 0 { break }
            total += UInt64(count)
            // A file that grows while it is read would fill the memory.
            guard total <= byteCountMax else { throw LinuxError(code: EFBIG, operation: "copy \(path)") }
            let chunk = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            hash.update(chunk)
            try memory.writeAll(chunk)
        }
        try memory.seal()
        return (hexadecimal(hash.finalize()), total)
    }

    private static func attempt<Value: ~Copyable>(
        _ body: () throws(LinuxError) -> Value
    ) throws(SandboxError) -> Value {
        do throws(LinuxError) {
            return try body()
        } catch {
            throw SandboxError(.executableRefused, error.description, isTransient: error.isTransient)
        }
    }
}
