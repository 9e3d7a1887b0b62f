internal import Glibc
internal import LinuxSystem
internal import SandboxPolicy

/// What a look found where a file of a model's weights is to be.
enum WeightsLook: Equatable, Sendable {
    /// Nothing is to be there.
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
            // It was only looked at, which needs no right to read it.
            if access(place.path, R_OK) != 0, errno == EACCES { return .refused(unreadable(place)) }
            let isSettled = facts.wasQuiet(
                forMilliseconds: settledMilliseconds, at: FileFacts.clockNanoseconds(), before: earlier)
            return .found(facts, isSettled: isSettled)
        } catch {
            return error.isAbsence ? .missing : .refused(sentence(for: error, at: place))
        }
    }

    /// Why weights are refused, with the remedy: a group may put them into a folder, which changes what helps.
    private static func sentence(for error: TrustError, at place: PlaceWithin) -> String {
        if error.cause?.code == EACCES { return unreadable(place) }
        guard place.within.isEmpty, error.cause == nil, let link = try? FileFacts(path: place.root),
            link.kind == .symbolicLink, link.owner != 0, link.owner != geteuid()
        else { return error.description }
        return
            "\(place.root) is a symbolic link of user \(link.owner), who could make it lead to files that only the agent "
            + "may read; copy the model itself in its place, with: hearth pull FILE"
    }

    private static func unreadable(_ place: PlaceWithin) -> String {
        "\(place.path) may not be read by the agent's user; let it, with: chmod a+r '\(place.path)'"
    }

    /// Nil where no file was found that may be used.
    var facts: FileFacts? { if case .found(let facts, _) = self { facts } else { nil } }

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

extension WeightsLook {
    /// Looks at all files of a model's weights.
    static func look(
        at places: [PlaceWithin], settledMilliseconds: UInt64, before: [WeightsLook] = []
    ) -> [WeightsLook] {
        places.enumerated().map { index, place in
            look(
                at: place, settledMilliseconds: settledMilliseconds,
                before: before.count == places.count ? before[index] : .none)
        }
    }
}

// The files of one model, in their order.
extension [WeightsLook] {
    /// Whether a launch would not wait for them.
    var areThere: Bool { allSatisfy(\.areThere) }

    /// The same, but none counts as settled before all are: parts are brought one by one.
    var settledTogether: [WeightsLook] {
        if areThere { return self }
        return map { if case .found(let facts, _) = $0 { .found(facts, isSettled: false) } else { $0 } }
    }

    /// Whether all are there and one is still being written.
    var areComing: Bool { !areThere && allSatisfy { if case .found = $0 { true } else { false } } }

    /// Why one may not be used; nil when all may.
    var refusal: String? {
        for case .refused(let sentence) in self { return sentence }
        return nil
    }

    /// The size of all of them, in bytes, as far as they were found.
    var byteCount: UInt64 {
        reduce(0) { sum, look in
            guard case .found(let facts, _) = look else { return sum }
            let (all, overflow) = sum.addingReportingOverflow(facts.byteCount)
            return overflow ? .max : all
        }
    }

    /// Why a backend cannot load them yet, as the end of a sentence about it; nil where there is nothing to wait for.
    func wait(for places: [PlaceWithin]) -> String? {
        // A missing part is named before one that only waits for it.
        for (look, place) in zip(self, places) where look == .missing { return look.wait(for: place.path) }
        return zip(self, places).lazy.compactMap { $0.wait(for: $1.path) }.first
    }
}

/// Weights that cannot be loaded yet; it is enough to wait until they are written.
struct WeightsAwaited: Error, Equatable {
    let description: String
}
