internal import LinuxSystem
internal import SandboxPolicy

/// What a look found where a model's weights are to be.
enum WeightsLook: Equatable, Sendable {
    /// The model has no weights.
    case none
    /// The file is still being written, unless it is settled.
    case found(FileFacts, isSettled: Bool)
    case missing
    /// They may not be used; a sentence with the remedy.
    case refused(String)

    /// Looks; blocks for as long as the disk does. A file that changed within `settledMilliseconds` is still being written.
    /// - Parameter before: what an earlier look found, at least `settledMilliseconds` ago.
    static func look(
        at place: PlaceWithin, settledMilliseconds: UInt64, before: WeightsLook = .none
    ) -> WeightsLook {
        var earlier: FileFacts?
        if case .found(let facts, _) = before { earlier = facts }
        do throws(TrustError) {
            let facts = try place.open(.weights).facts
            let isSettled = facts.wasQuiet(
                forMilliseconds: settledMilliseconds, at: FileFacts.clockNanoseconds(), before: earlier)
            return .found(facts, isSettled: isSettled)
        } catch {
            return error.isAbsence ? .missing : .refused(error.description)
        }
    }

    /// Whether a launch would not wait for them.
    var areThere: Bool {
        switch self {
        case .none, .refused: true
        case .found(_, let isSettled): isSettled
        case .missing: false
        }
    }

    /// Why a backend cannot load them yet, as the end of a sentence about it; nil where there is nothing to wait for.
    func wait(for path: String) -> String? {
        switch self {
        case .missing: "waits for its weights: \(path) is missing"
        case .found(_, isSettled: false): "waits for its weights: \(path) is still being written"
        case .none, .found, .refused: nil
        }
    }
}

/// Weights that cannot be loaded yet; it is enough to wait until they are written.
struct WeightsAwaited: Error, Equatable {
    let description: String
}
