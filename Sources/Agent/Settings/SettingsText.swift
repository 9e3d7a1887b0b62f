internal import StrictJSON

/// The text of a file of settings, of which a command changes one setting and leaves every other byte as its owner wrote it.
/// Pure.
package struct SettingsText: Equatable, Sendable {
    package let bytes: [UInt8]
    /// Its settings, without those of other sources.
    package let settings: HostConfiguration
    /// The names of its settings, and where its members stand.
    private let members: [(key: HostConfiguration.Key?, spans: Spans)]

    private struct Spans {
        let key: Range<Int>
        let value: Range<Int>
    }

    package static func == (one: SettingsText, other: SettingsText) -> Bool { one.bytes == other.bytes }

    /// Throws, naming the line, for text that an agent would not understand. `file` is for the error.
    package init(_ bytes: [UInt8], file: String) throws(HostError) {
        self.bytes = bytes
        settings = try SettingsReader.settings(in: bytes, file: file)
        do throws(JSONError) {
            guard case .object(let members) = try JSONNode.parse(bytes, file: file).value else { preconditionFailure() }
            self.members = zip(members, Self.spans(bytes)).map { (HostConfiguration.Key(name: $0.key), $1) }
        } catch {
            throw HostError("\(error)")
        }
    }

    /// The text of a file that is not there yet.
    package static var none: SettingsText { SettingsText() }

    private init() {
        bytes = Array("{}\n".utf8)
        settings = HostConfiguration()
        members = []
    }

    package func has(_ key: HostConfiguration.Key) -> Bool { members.contains { $0.key == key } }

    /// The same with another value of a setting whose values are texts: in its place if it was there, otherwise behind all
    /// others.
    package func setting(_ key: HostConfiguration.Key, to text: String, file: String) throws(HostError) -> SettingsText
    {
        let value = Array(jsonString(text).utf8)
        var changed = bytes
        if let present = members.first(where: { $0.key == key }) {
            changed.replaceSubrange(present.spans.value, with: value)
        } else {
            let member = Array("\(jsonString(key.rawValue)): ".utf8) + value
            if let last = members.last {
                changed.insert(
                    contentsOf: [UInt8(ascii: ",")] + lead(of: last.spans) + member, at: last.spans.value.upperBound)
            } else {
                let open = bytes.firstIndex(of: UInt8(ascii: "{")) ?? 0
                let close = bytes.lastIndex(of: UInt8(ascii: "}")) ?? open
                changed.replaceSubrange(
                    open...close, with: Array("{\n  ".utf8) + member + Array("\n}".utf8))
            }
        }
        return try SettingsText(changed, file: file)
    }

    /// What stands before a member, so that a new one is written as the last one was: its line's end and indentation, or the
    /// blanks on the same line.
    private func lead(of spans: Spans) -> [UInt8] {
        var start = spans.key.lowerBound
        while start > 0, Self.isBlank(bytes[start - 1]) { start -= 1 }
        let blanks = bytes[start..<spans.key.lowerBound]
        guard let line = blanks.lastIndex(of: UInt8(ascii: "\n")) else { return Array(blanks) }
        let hasReturn = line > blanks.startIndex && blanks[line - 1] == UInt8(ascii: "\r")
        return Array(blanks[(hasReturn ? line - 1 : line)...])
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d
    }

    /// Where the members of the outermost object stand, in text that is strict JSON.
    private static func spans(_ bytes: [UInt8]) -> [Spans] {
        var spans: [Spans] = []
        var index = (bytes.firstIndex(of: UInt8(ascii: "{")) ?? bytes.endIndex) + 1
        func skip(_ more: UInt8...) {
            while index < bytes.count, isBlank(bytes[index]) || more.contains(bytes[index]) { index += 1 }
        }
        while true {
            skip(UInt8(ascii: ","))
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { return spans }
            let key = index..<end(ofValueAt: index, in: bytes)
            index = key.upperBound
            skip(UInt8(ascii: ":"))
            let value = index..<end(ofValueAt: index, in: bytes)
            index = value.upperBound
            spans.append(Spans(key: key, value: value))
        }
    }

    private static func end(ofValueAt start: Int, in bytes: [UInt8]) -> Int {
        var (index, depth, isInText) = (start, 0, false)
        while index < bytes.count {
            switch (bytes[index], isInText) {
            case (UInt8(ascii: "\\"), true): index += 1
            case (UInt8(ascii: "\""), _):
                isInText.toggle()
                if !isInText, depth == 0 { return index + 1 }
            case (_, true): break
            case (UInt8(ascii: "{"), _), (UInt8(ascii: "["), _): depth += 1
            case (UInt8(ascii: "}"), _), (UInt8(ascii: "]"), _):
                // A number or a word ends before the end of the object.
                if depth == 0 { return index }
                depth -= 1
                if depth == 0 { return index + 1 }
            case (UInt8(ascii: ","), _) where depth == 0: return index
            case (let byte, _) where depth == 0 && isBlank(byte): return index
            default: break
            }
            index += 1
        }
        return index
    }
}
