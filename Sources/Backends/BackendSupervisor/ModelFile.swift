internal import Glibc
internal import LinuxSystem

/// One file of a model's weights: open read-only, and its digest. Closed when the last owner lets go of it.
final class ModelFile: Sendable {
    let descriptor: Descriptor
    /// The facts of the file when it was digested.
    let facts: FileFacts
    /// SHA-256, 32 bytes; empty where it was not asked for.
    let digest: [UInt8]
    let place: PlaceWithin

    var path: String { place.path }
    var byteCount: UInt64 { facts.byteCount }

    /// Opens and digests a file as weights have to be (`PathTrust.Demands.weights`); blocks for as long as reading all of it
    /// takes, unless its digest is known, or it is called off, or there are no `digests`.
    init(_ place: PlaceWithin, digests: DigestCache?, isCalledOff: () -> Bool = { false }) throws {
        self.place = place
        let file = try place.open(.weights, O_RDONLY)
        facts = file.facts
        descriptor = try file.descriptor.duplicate()
        guard let digests else {
            digest = []
            return
        }
        digest = try FileDigest.sha256(descriptor, facts, path: place.path, digests: digests, isCalledOff: isCalledOff)
    }

    /// One that another agent has opened and digested.
    init(owning descriptor: consuming Descriptor, facts: FileFacts, digest: [UInt8], place: PlaceWithin) {
        self.descriptor = descriptor
        self.facts = facts
        self.digest = digest
        self.place = place
    }

    /// The present facts of the open file, wherever it lies; blocks for as long as the disk does.
    func currentFacts() -> FileFacts? { try? FileFacts(of: descriptor, name: path) }
}
