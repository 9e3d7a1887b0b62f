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

    /// Takes what a look found for the next start, at `places`, and the facts of the open files; nil: not known.
    func look(_ found: [WeightsLook], at places: [PlaceWithin], held: [FileFacts?]) {
        // The weights for its next start may lie elsewhere.
        let isSamePlace = places == weights.files.map(\.place) && found.count == files.count
        let looks = isSamePlace ? found.settledTogether : files.map { _ in .none }
        let facts = held.count == files.count ? held : files.map { _ in nil }
        for (index, file) in files.enumerated() { file.look(looks[index], held: facts[index]) }
    }

    /// The process is gone.
    func forget() { for file in files { file.forget() } }
}
