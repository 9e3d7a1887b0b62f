/// A name that is safe in logs, metrics and file names: ASCII letters, digits, ".", "_" and "-".
enum PlainName {
    /// Whether it has 1 to so many of these.
    static func isValid(_ name: String, bytesMax: Int) -> Bool {
        (1...bytesMax).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
