/// The ids of a completion's tokens, as packed varints in the order in which they came. It grows on the path of every token, so
/// the last ones lie in place, where adding one is a few instructions, and go to an array together.
struct TokenLog {
    private var older: [UInt8] = []
    private var recent: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    private var recentCount = 0

    init() {}

    /// Of ids that came before.
    init(packed: [UInt8]) { older = packed }

    var byteCount: Int { older.count + recentCount }

    /// The packed varints.
    var packed: [UInt8] { older + withUnsafeBytes(of: recent) { Array($0.prefix(recentCount)) } }

    /// The packed varints behind the first so many bytes.
    func packed(from byteCount: Int) -> [UInt8] {
        let recentFrom = max(0, byteCount - older.count)
        return Array(older.dropFirst(byteCount))
            + withUnsafeBytes(of: recent) { Array($0.prefix(recentCount).dropFirst(recentFrom)) }
    }

    /// Whether there are so many ids behind the first so many bytes.
    func hasIDs(_ count: Int, behind byteCount: Int) -> Bool {
        // An id has at most five bytes, so a log that has grown long is not looked at, and all of it may be megabytes.
        if self.byteCount - byteCount >= 5 * count { return true }
        return packed.dropFirst(byteCount).count { $0 < 0x80 } >= count
    }

    @inline(__always)
    mutating func append(_ ids: UnsafeRawBufferPointer) {
        // As most ids have.
        if ids.count == 2, recentCount <= 62, let ids = ids.baseAddress {
            withUnsafeMutableBytes(of: &recent) {
                $0.storeBytes(of: ids.loadUnaligned(as: UInt16.self), toByteOffset: recentCount, as: UInt16.self)
            }
            recentCount &+= 2
        } else {
            appendAny(ids)
        }
    }

    @inline(never)
    private mutating func appendAny(_ ids: UnsafeRawBufferPointer) {
        if recentCount + ids.count > 64 {
            let recent = recent
            withUnsafeBytes(of: recent) { older.append(contentsOf: $0.prefix(recentCount)) }
            recentCount = 0
        }
        guard ids.count <= 64 else { return older.append(contentsOf: ids) }
        let count = recentCount
        withUnsafeMutableBytes(of: &recent) {
            UnsafeMutableRawBufferPointer(rebasing: $0[count...]).copyMemory(from: ids)
        }
        recentCount += ids.count
    }

    mutating func removeAll() { self = TokenLog() }
}
