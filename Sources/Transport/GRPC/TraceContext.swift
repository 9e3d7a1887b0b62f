internal import BaseEncodings

/// A caller's place in a distributed trace: the fields `traceparent` and `tracestate` of W3C Trace Context
/// (https://www.w3.org/TR/trace-context/), which have the same names in gRPC's metadata and in HTTP.
package struct TraceContext: Hashable, Sendable {
    package static let parentKey = "traceparent"
    package static let stateKey = "tracestate"

    /// Sixteen bytes, not all of them zero.
    package let traceID: [UInt8]
    /// The caller's span: eight bytes, not all of them zero.
    package let spanID: [UInt8]
    /// The flags that are known: sampled (1), and that the trace's id is random (2).
    package let flags: UInt8
    /// The vendors' entries as they are passed on; empty: none, or what came could not be read.
    package let state: String

    /// Whether the caller records the trace.
    package var isSampled: Bool { flags & 1 != 0 }

    package init(traceID: [UInt8], spanID: [UInt8], flags: UInt8, state: String = "") {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags & Self.knownFlags
        self.state = state
    }

    /// Reads all fields of both names, in their order. Nil: there is no parent, several, or one that is not valid, and so a
    /// trace begins anew (section 4.3). The state is then not looked at; one that cannot be read is left out.
    package init?(parents: [String], states: [String]) {
        guard parents.count == 1, let parent = Self.read(Array(parents[0].utf8)) else { return nil }
        self.init(
            traceID: parent.traceID, spanID: parent.spanID, flags: parent.flags, state: Self.readState(states) ?? "")
    }

    /// Reads a call's metadata.
    package init?(_ metadata: Metadata) {
        // Most calls have none.
        guard metadata[Self.parentKey] != nil else { return nil }
        self.init(parents: metadata.texts(Self.parentKey), states: metadata.texts(Self.stateKey))
    }

    /// Its fields, for a call or request that is made within the same span.
    package var fields: [(name: String, value: String)] {
        [(Self.parentKey, parent)] + (state.isEmpty ? [] : [(Self.stateKey, state)])
    }

    /// "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    package var parent: String {
        "00-\(hexadecimal(traceID))-\(hexadecimal(spanID))-\(hexadecimal([flags]))"
    }

    private static let knownFlags: UInt8 = 3
}

// MARK: - traceparent

extension TraceContext {
    /// The bytes of version 00, which later versions begin with (section 3.2.4).
    private static let parentBytes = 55

    private static func read(_ bytes: [UInt8]) -> TraceContext? {
        guard bytes.count >= parentBytes, [2, 35, 52].allSatisfy({ bytes[$0] == dash }),
            let version = digits(bytes[0..<2])?.first, version != 0xff,
            bytes.count == parentBytes || version > 0 && bytes[parentBytes] == dash,
            let traceID = digits(bytes[3..<35]), let spanID = digits(bytes[36..<52]),
            let flags = digits(bytes[53..<55])?.first,
            traceID.contains(where: { $0 != 0 }), spanID.contains(where: { $0 != 0 })
        else { return nil }
        return TraceContext(traceID: traceID, spanID: spanID, flags: flags)
    }

    /// Lower case only (section 3.2.2, HEXDIGLC).
    private static func digits(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        bytes.contains { (UInt8(ascii: "A")...UInt8(ascii: "F")).contains($0) } ? nil : fromHexadecimal(bytes)
    }

    private static let dash = UInt8(ascii: "-")
}

// MARK: - tracestate

extension TraceContext {
    /// The most entries of a valid list (section 3.3.1.1).
    private static let entriesMax = 32
    /// What every hop passes on at least; of more the last entries are dropped, the longest ones first (section 3.3.1.5).
    private static let stateBytesMax = 512
    private static let longEntryBytes = 128

    /// The list of entries as one field; nil: one of them is not valid, and then none is passed on.
    private static func readState(_ fields: [String]) -> String? {
        var entries: [Substring] = []
        var keys: Set<Substring> = []
        for field in fields {
            for part in field.split(separator: ",", maxSplits: 4 * entriesMax, omittingEmptySubsequences: false) {
                let entry = trimmed(part)
                if entry.isEmpty { continue }
                guard entries.count < entriesMax, let equals = entry.firstIndex(of: "="),
                    isKey(entry[..<equals].utf8), isValue(entry[entry.index(after: equals)...].utf8),
                    keys.insert(entry[..<equals]).inserted
                else { return nil }
                entries.append(entry)
            }
        }
        return fitting(entries).joined(separator: ",")
    }

    private static func fitting(_ entries: [Substring]) -> [Substring] {
        func byteCount(_ entries: [Substring]) -> Int { entries.reduce(entries.count - 1) { $0 + $1.utf8.count } }
        var entries = entries
        while byteCount(entries) > stateBytesMax {
            let long = entries.lastIndex { $0.utf8.count > longEntryBytes }
            entries.remove(at: long ?? entries.count - 1)
        }
        return entries
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }

    /// A vendor's name, or a tenant's, "@" and a system's.
    private static func isKey(_ key: Substring.UTF8View) -> Bool {
        let parts = key.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first?.first, key.count <= 256 else { return false }
        let isName = parts.allSatisfy { part in
            !part.isEmpty
                && part.allSatisfy { isLetter($0) || isDigit($0) || "_-*/".utf8.contains($0) }
        }
        guard isName, isLetter(first) || parts.count == 2 && isDigit(first) else { return false }
        return parts.count == 1 || parts[0].count <= 241 && parts[1].count <= 14 && isLetter(parts[1].first ?? 0)
    }

    private static func isValue(_ value: Substring.UTF8View) -> Bool {
        !value.isEmpty && value.count <= 256
            && value.allSatisfy { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "=") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}

extension Metadata {
    /// Every ASCII value of a key.
    fileprivate func texts(_ key: String) -> [String] {
        entries.compactMap { entry in
            if entry.key == key, case .ascii(let text) = entry.value { text } else { nil }
        }
    }
}
