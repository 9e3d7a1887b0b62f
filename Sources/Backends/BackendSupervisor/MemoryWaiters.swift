/// The models that wait until they were inspected, or until others have freed memory. Pure.
struct MemoryWaiters: Equatable, Sendable {
    private var all: Set<String> = []
    /// Those that others are to make room for, because no process of them is there to serve.
    private var short: Set<String> = []

    /// Whether others are to make room.
    var areShort: Bool { !short.isEmpty }

    mutating func wait(_ model: String, isShort: Bool = false) {
        all.insert(model)
        if isShort { short.insert(model) }
    }

    /// A model tries again, which may show that it needs no room any more.
    mutating func triesAgain(_ model: String) { short.remove(model) }

    /// All of them, those first that others are to make room for: none waits any more.
    mutating func takeAll() -> [String] {
        defer { self = MemoryWaiters() }
        return short.sorted() + all.subtracting(short).sorted()
    }
}
