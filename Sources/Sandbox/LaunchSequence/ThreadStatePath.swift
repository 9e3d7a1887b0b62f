/// Recognizes the path "/proc/NUMBER/stat", NUL included, in untrusted memory.
enum ThreadStatePath {
    static let byteCountMax = 24
    private static let (prefix, suffix) = (Array("/proc/".utf8), Array("/stat\0".utf8))

    static func isOne(_ bytes: [UInt8]) -> Bool {
        guard bytes.starts(with: prefix) else { return false }
        let digits = bytes.dropFirst(prefix.count).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return !digits.isEmpty && bytes[digits.endIndex...].starts(with: suffix)
    }
}
