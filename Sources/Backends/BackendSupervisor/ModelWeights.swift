internal import Cryptography
internal import LinuxSystem
internal import SandboxPolicy

/// The files of a model that its process has open: its weights, in one file or in parts, its adapters, and its draft model.
struct ModelWeights: Sendable {
    /// The weights: the file, or all of its parts in their order; at least one.
    let parts: [ModelFile]
    /// In the order of the model's settings.
    let adapters: [ModelFile]
    /// The second model that drafts tokens; nil where there is none.
    let draft: ModelFile?

    /// Of all files, in the order in which they are handed over.
    init(_ files: [ModelFile], of model: BackendManifest.Model) {
        var files = files
        draft = model.draftFile == nil ? nil : files.popLast()
        adapters = files.suffix(model.adapters.count)
        parts = files.dropLast(model.adapters.count)
    }

    /// All of them, in the order in which they are handed over.
    var files: [ModelFile] { parts + adapters + (draft.map { [$0] } ?? []) }

    /// Of the files, in their order; borrowed from them.
    var descriptors: [CInt] { files.map { $0.descriptor.raw } }

    /// The size of all files, in bytes.
    var byteCount: UInt64 { Self.byteCount(of: files) }

    /// The size of the weights alone, in bytes.
    var partBytes: UInt64 { Self.byteCount(of: parts) }

    private static func byteCount(of files: [ModelFile]) -> UInt64 {
        files.reduce(0) { sum, file in
            let (all, overflow) = sum.addingReportingOverflow(file.byteCount)
            return overflow ? .max : all
        }
    }

    /// The digest of the weights that consumers are told, 32 bytes.
    var digest: [UInt8] { Self.digest(ofFilesWith: parts.map(\.digest)) }

    /// SHA-256 of the file; of several parts, SHA-256 of their SHA-256s, 32 bytes each, one behind the other.
    static func digest(ofFilesWith digests: [[UInt8]]) -> [UInt8] {
        if digests.count == 1 { return digests[0] }
        var hash = SHA256()
        for digest in digests { digest.withUnsafeBytes { hash.update($0) } }
        return hash.finalize()
    }
}
