/// The texts that wait for the one tokenizing thread. The next is the shortest, and every other time the one that has
/// waited longest, so that a short text does not wait for all long ones, and a long one not for ever.
package struct TextQueue<Owner: Hashable & Sendable>: Sendable {
    /// The most bytes of all waiting texts together; more are refused.
    package static var bytesMax: Int { 32 << 20 }

    private var waiting: [(owner: Owner, bytes: Int)] = []
    private var bytes = 0
    private var isShortestNext = true

    package init() {}

    package var isEmpty: Bool { waiting.isEmpty }

    /// Returns false when there is no room for this many bytes more.
    package mutating func append(_ owner: Owner, bytes: Int) -> Bool {
        guard self.bytes + bytes <= Self.bytesMax else { return false }
        waiting.append((owner, bytes))
        self.bytes += bytes
        return true
    }

    package mutating func next() -> Owner? {
        guard !waiting.isEmpty else { return nil }
        defer { isShortestNext.toggle() }
        let shortest = waiting.indices.min { waiting[$0].bytes < waiting[$1].bytes } ?? 0
        return take(at: isShortestNext ? shortest : 0)
    }

    /// Removes the text of an owner; has no effect if it does not wait.
    package mutating func remove(_ owner: Owner) {
        if let index = waiting.firstIndex(where: { $0.owner == owner }) { _ = take(at: index) }
    }

    private mutating func take(at index: Int) -> Owner {
        let taken = waiting.remove(at: index)
        bytes -= taken.bytes
        return taken.owner
    }
}
