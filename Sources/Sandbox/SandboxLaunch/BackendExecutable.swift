internal import BaseEncodings
internal import Cryptography
internal import Glibc
package import LinuxSystem

/// A backend's executable, checked, hashed and copied once into sealed memory: the hashed bytes are executed, whatever
/// happens to the file afterwards. A script's interpreter is the program that is executed, and the script its standard
/// input; both are copied. Owns the memory; launches borrow it.
package struct BackendExecutable: ~Copyable, Sendable {
    package let name: String
    package let path: String
    /// SHA-256 in lower-case hexadecimal digits; of a script, `digest(ofScriptWith:interpreter:)`.
    package let digest: String
    /// SHA-256 of the file of this name: of a script, without the program that runs it.
    package let fileDigest: [UInt8]
    /// Of the program, and of the script.
    package let byteCount: UInt64
    /// The dynamic loader that the program names; nil for a static one, which needs no other file to start.
    package let loader: String?
    /// The program.
    package let memory: Descriptor
    /// Its standard input: the script that it runs, or else /dev/null.
    package let input: Descriptor

    /// The largest file that is accepted, and the longest script.
    package static let byteCountMax: UInt64 = 2 << 30
    package static let scriptByteCountMax: UInt64 = 16 << 20

    /// Opens `name` in `folder` as a backend. Reads the whole file, so call it off the loop. Refuses, with the remedy,
    /// a symbolic link, a set-id file, and a file, or a folder on its path, that other users could change.
    /// - Parameter interpreter: the path of the program that runs the file, which must then be a script; nil: the file
    ///   is a program.
    package static func open(
        folder: String, name: String, interpreter: String? = nil
    ) throws(SandboxError) -> BackendExecutable {
        guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else {
            throw SandboxError(.executableRefused, "'\(name)' is no file name")
        }
        let path = "\(folder)/\(name)"
        guard let interpreter else {
            let program = try checkedFile(path)
            let memory = try attempt { () throws(LinuxError) in try Descriptor.executableMemoryFile(name) }
            let copied = try attempt { () throws(LinuxError) in
                try copy(program.descriptor, to: memory, path: path)
            }
            return BackendExecutable(
                name: name, path: path, digest: hexadecimal(copied.digest), fileDigest: copied.digest,
                byteCount: copied.byteCount, loader: try checkedHeader(of: program, path: path).interpreter,
                memory: memory,
                input: try attempt { () throws(LinuxError) in try Descriptor.open("/dev/null", O_RDONLY) })
        }
        let script = try checkedScript(path)
        let program = try checkedInterpreter(interpreter)
        let memory = try attempt { () throws(LinuxError) in try Descriptor.executableMemoryFile(name) }
        let copied = try attempt { () throws(LinuxError) in
            try copy(program.descriptor, to: memory, path: interpreter)
        }
        let input = try attempt { () throws(LinuxError) in try Descriptor.memoryFile(name) }
        let text = try attempt { () throws(LinuxError) in try copy(script.descriptor, to: input, path: path) }
        return BackendExecutable(
            name: name, path: path,
            digest: hexadecimal(digest(ofScriptWith: text.digest, interpreter: copied.digest)),
            fileDigest: text.digest, byteCount: copied.byteCount + text.byteCount,
            loader: try checkedHeader(of: program, path: interpreter).interpreter, memory: memory, input: input)
    }

    /// SHA-256 of the two digests, one behind the other.
    package static func digest(ofScriptWith script: [UInt8], interpreter: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        for digest in [script, interpreter] { digest.withUnsafeBytes { hash.update($0) } }
        return hash.finalize()
    }

    /// Opens a program that `open` would accept, as far as that shows without reading all of it. Throws what `open`
    /// throws.
    package static func checkedFile(_ path: String) throws(SandboxError) -> TrustedFile {
        let file = try openTrusted(path, .backendExecutable)
        _ = try checkedHeader(of: file, path: path)
        return file
    }

    /// The same for a script.
    package static func checkedScript(_ path: String) throws(SandboxError) -> TrustedFile {
        let file = try openTrusted(path, .backendExecutable)
        guard file.facts.byteCount <= scriptByteCountMax else {
            throw SandboxError(
                .executableRefused,
                "\(path) has \(file.facts.byteCount) bytes; a script has at most \(scriptByteCountMax)")
        }
        guard try beginning(of: file.descriptor, path: path, byteCount: 2) == ExecutableHeader.scriptMark else {
            throw SandboxError(
                .executableRefused,
                "\(path) is no script, because it does not begin with '#!'; leave \"interpreter\" out of its manifest")
        }
        return file
    }

    /// The same for the program that runs a script. Links that root or this user made are followed.
    package static func checkedInterpreter(_ path: String) throws(SandboxError) -> TrustedFile {
        let file = try openTrusted(path, .interpreter)
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

    private static func openTrusted(
        _ path: String, _ demands: PathTrust.Demands
    ) throws(SandboxError) -> TrustedFile {
        do throws(TrustError) {
            return try PathTrust.open(path, demands, O_RDONLY)
        } catch {
            throw SandboxError(.executableRefused, error.description, isTransient: error.isTransient)
        }
    }

    private static func readHeader(
        of file: borrowing Descriptor, path: String
    ) throws(SandboxError) -> ExecutableHeader {
        let bytes = try beginning(of: file, path: path, byteCount: ExecutableHeader.bytesRead)
        do throws(ExecutableHeader.Refusal) {
            return try ExecutableHeader(bytes)
        } catch {
            let reason =
                switch error {
                case .script: "is a script; name the program that runs it as \"interpreter\" in its manifest"
                case .notELF: "is no ELF executable"
                case .otherArchitecture: "is an executable for another kind of machine"
                case .damaged: "is a damaged ELF executable"
                }
            throw SandboxError(.executableRefused, "\(path) \(reason)")
        }
    }

    private static func beginning(
        of file: borrowing Descriptor, path: String, byteCount: Int
    ) throws(SandboxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let count = try attempt { () throws(LinuxError) in
            try checked("read \(path)") { pread(file.raw, &bytes, bytes.count, 0) }
        }
        return Array(bytes[..<count])
    }

    /// Copies and hashes in one pass, then seals the copy.
    private static func copy(
        _ file: borrowing Descriptor, to memory: borrowing Descriptor, path: String
    ) throws(LinuxError) -> (digest: [UInt8], byteCount: UInt64) {
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
        return (hash.finalize(), total)
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
