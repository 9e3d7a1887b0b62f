internal import Cryptography
internal import LinuxSystem

/// The weights of a model: its file, or all of its parts in their order.
struct ModelWeights: Sendable {
    /// At least one.
    let files: [ModelFile]

    /// Of the files, in their order; borrowed from them.
    var descriptors: [CInt] { files.map { $0.descriptor.raw } }

    /// The size of all files, in bytes.
    var byteCount: UInt64 {
        files.reduce(0) { sum, file in
            let (all, overflow) = sum.addingReportingOverflow(file.byteCount)
            return overflow ? .max : all
        }
    }

    /// The digest that consumers are told, 32 bytes.
    var digest: [UInt8] { Self.digest(ofFilesWith: files.map(\.digest)) }

    /// SHA-256 of the file; of several parts, SHA-256 of their SHA-256s, 32 bytes each, one behind the other.
    static func digest(ofFilesWith digests: [[UInt8]]) -> [UInt8] {
        if digests.count == 1 { return digests[0] }
        var hash = SHA256()
        for digest in digests { digest.withUnsafeBytes { hash.update($0) } }
        return hash.finalize()
    }
}
