/// The ids of a completion's tokens, as packed varints in the order in which they came: a few instructions for each, because it
/// grows on the path of every token.
struct TokenLog {
    private var memory: [UInt8] = []
    private(set) var byteCount = 0

    /// The packed varints.
    var packed: [UInt8] { Array(memory.prefix(byteCount)) }

    @inline(__always)
    mutating func append(_ ids: UnsafeRawBufferPointer) {
        let end = byteCount &+ ids.count
        if end > memory.count { grow(to: end) }
        guard let source = ids.baseAddress else { return }
        memory.withUnsafeMutableBufferPointer { memory in
            guard let place = memory.baseAddress else { return }
            // An id has two bytes or three.
            for index in 0..<ids.count {
                (place + byteCount)[index] = source.load(fromByteOffset: index, as: UInt8.self)
            }
        }
        byteCount = end
    }

    /// The number of ids behind the first so many bytes.
    func count(behind byteCount: Int) -> Int {
        memory[byteCount..<self.byteCount].reduce(0) { $1 < 0x80 ? $0 + 1 : $0 }
    }

    mutating func removeAll() { self = TokenLog() }

    @inline(never)
    private mutating func grow(to byteCount: Int) {
        memory += Array(repeating: 0, count: max(byteCount - memory.count, memory.count, 64))
    }
}
