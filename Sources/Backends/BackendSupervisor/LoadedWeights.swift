internal import EventLoop
internal import LinuxSystem

/// The weights that a process has open. Owned by its `ManagedBackend`; lives as long as the process; the I/O loop's own.
@IOLoop
struct LoadedWeights {
    let weights: ModelWeights
    private let files: [LoadedFile]

    /// As for `LoadedFile`.
    init(
        _ weights: ModelWeights, digests: DigestCache, checkMilliseconds: UInt64,
        noticed: @escaping @IOLoop () -> Void, changed: @escaping @IOLoop (String) -> Void
    ) {
        self.weights = weights
        files = weights.files.map {
            LoadedFile(
                $0, digests: digests, checkMilliseconds: checkMilliseconds, noticed: noticed, changed: changed)
        }
    }

    /// The path that they are known by.
    var path: String { weights.files[0].path }

    /// What the owner should know; empty when all is well.
    var notice: String { files.map(\.notice).first { !$0.isEmpty } ?? "" }

    /// Takes what a look found for the next start, at `places`, and the facts of the open files.
    func look(_ found: [WeightsLook], at places: [PlaceWithin], held: [FileFacts?]) {
        // The weights for its next start may lie elsewhere.
        let isSamePlace = places == weights.files.map(\.place) && found.count == files.count
        for (index, look) in found.settledTogether.enumerated().prefix(isSamePlace ? files.count : 0) {
            files[index].look(look, held: index < held.count ? held[index] : nil)
        }
        guard !isSamePlace else { return }
        for (index, file) in files.enumerated() { file.look(.none, held: index < held.count ? held[index] : nil) }
    }

    /// The process is gone.
    func forget() { for file in files { file.forget() } }
}
