/// The adapters that a sequence is computed with. Two sequences are computed in one pass only with the same set, and
/// tokens computed with one set are of no use with another.
package struct AdapterSet: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        /// The adapter's number among those of the model.
        package let adapter: Int
        package let scale: Float

        package init(adapter: Int, scale: Float) {
            self.adapter = adapter
            self.scale = scale
        }
    }

    /// In the order of the adapters; none has a scale of 0, which is the model without it.
    package let members: [Member]

    package init(_ members: [Member] = []) {
        self.members = members.filter { $0.scale != 0 }.sorted { $0.adapter < $1.adapter }
    }

    /// The scope of what is computed with these adapters for a scope, empty for none: no two sets have the same one.
    package func scope(within scope: [UInt8]) -> [UInt8] {
        guard !scope.isEmpty else { return [] }
        var bytes = [UInt8(truncatingIfNeeded: members.count)]
        for member in members {
            bytes.append(UInt8(truncatingIfNeeded: member.adapter))
            withUnsafeBytes(of: member.scale.bitPattern.littleEndian) { bytes += $0 }
        }
        return bytes + scope
    }
}

/// The adapters of a model, by their numbers.
package struct AdapterTable: Sendable {
    package struct Adapter: Equatable, Sendable {
        package let name: String
        /// How strongly it is applied where a request does not say.
        package let scale: Float
        /// Whether it is applied where a request names no adapters.
        package let isDefault: Bool

        package init(name: String, scale: Float, isDefault: Bool) {
            self.name = name
            self.scale = scale
            self.isDefault = isDefault
        }
    }

    /// A request names an adapter that the model does not have.
    package struct Unknown: Error, Equatable {
        package let name: String
        /// Those that it has.
        package let known: [String]

        package init(name: String, known: [String]) {
            self.name = name
            self.known = known
        }
    }

    package let adapters: [Adapter]

    package init(_ adapters: [Adapter] = []) { self.adapters = adapters }

    /// The set that a request chooses; nil: it names none, not even an empty list.
    package func set(for chosen: [(name: String, scale: Float?)]?) throws(Unknown) -> AdapterSet {
        guard let chosen else {
            return AdapterSet(
                adapters.indices.filter { adapters[$0].isDefault }.map {
                    AdapterSet.Member(adapter: $0, scale: adapters[$0].scale)
                })
        }
        var members: [AdapterSet.Member] = []
        for (name, scale) in chosen {
            guard let number = adapters.firstIndex(where: { $0.name == name }) else {
                throw Unknown(name: name, known: adapters.map(\.name))
            }
            members.append(AdapterSet.Member(adapter: number, scale: scale ?? adapters[number].scale))
        }
        return AdapterSet(members)
    }
}

/// Which set of adapters the next step is computed with. A change of sets costs time, so one keeps its turn for a
/// while; then it is the turn of the one that has waited longest.
package struct AdapterTurns: Sendable {
    /// A turn ends with the step that reaches this, where others wait. A change took about a tenth of it where it was
    /// measured, with a model of 30 layers.
    package static let turnNanoseconds: UInt64 = 100_000_000

    private var current = AdapterSet()
    private var spentNanoseconds: UInt64 = 0
    /// The waiting sets, the one that waits longest first.
    private var waiting: [AdapterSet] = []

    package init() {}

    /// The set of the next step, of those that sequences could be computed with now; nil where there are none.
    package mutating func next(among sets: [AdapterSet]) -> AdapterSet? {
        waiting.removeAll { !sets.contains($0) }
        for set in sets where set != current && !waiting.contains(set) { waiting.append(set) }
        if sets.contains(current), waiting.isEmpty || spentNanoseconds < Self.turnNanoseconds { return current }
        guard !waiting.isEmpty else { return nil }
        current = waiting.removeFirst()
        spentNanoseconds = 0
        return current
    }

    /// A step with the set that `next` gave took this long.
    package mutating func took(_ nanoseconds: UInt64) {
        let (sum, overflow) = spentNanoseconds.addingReportingOverflow(nanoseconds)
        spentNanoseconds = overflow ? .max : sum
    }
}
