/// A limit in force, as its owner sees it.
package struct NamedLimit: Sendable, Equatable {
    package let name: String
    package let value: UInt64
    /// What it bounds, and what happens when it is met, in a line.
    package let meaning: String
    /// Whether the agent counts how often it was met.
    package let isCounted: Bool

    package init(_ name: String, _ value: some BinaryInteger, counted: Bool = false, _ meaning: String) {
        self.name = name
        self.value = UInt64(clamping: value)
        self.meaning = meaning
        isCounted = counted
    }

    /// The unit that its name ends with: "bytes", "ms", "s", "per s"; empty for a plain number.
    package var unit: String {
        let suffixes = [
            ("BytesPerSecondMax", "bytes per s"), ("PerSecondMax", "per s"), ("PerSecond", "per s"),
            ("Milliseconds", "ms"), ("MillisecondsMin", "ms"), ("Seconds", "s"), ("Bytes", "bytes"),
            ("BytesMax", "bytes"), ("BytesMin", "bytes"),
            ("SecondsMax", "s"),
        ]
        if let (_, unit) = suffixes.first(where: { name.hasSuffix($0.0) }) { return unit }
        // "messageBytesPerConnectionMax"
        return name.contains("BytesPer") ? "bytes" : ""
    }
}
