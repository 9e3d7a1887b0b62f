/// Splits the bytes of a terminal into keys: UTF-8, the controls of Emacs and readline(3), the sequences of xterm and
/// the Linux console, and bracketed pastes. An incomplete key goes on with the next bytes; an unknown or malformed one
/// is left out. An Escape waits for the next byte, so that no clock is needed.
package struct KeyReader: Sendable {
    /// A longer paste is cut.
    static let pasteBytesMax = 1 << 20
    private static let sequenceBytesMax = 32
    private static let pasteEnd: [UInt8] = Array("\u{1B}[201~".utf8)

    private var pending: [UInt8] = []
    private var paste: [UInt8]?

    package init() {}

    private enum Cut {
        case key(EditorKey, length: Int)
        case nothing(length: Int)
        case pasteBegins(length: Int)
        case incomplete
    }

    package mutating func take(_ bytes: some Sequence<UInt8>) -> [EditorKey] {
        pending.append(contentsOf: bytes)
        var keys: [EditorKey] = []
        var typed = ""
        var start = 0
        func flush() {
            if !typed.isEmpty { keys.append(.text(typed)) }
            typed = ""
        }
        reading: while start < pending.count {
            if paste != nil {
                pending.removeFirst(start)
                start = 0
                guard let text = takePaste() else { break reading }
                keys.append(.paste(text))
                continue
            }
            switch Self.cut(pending[start...]) {
            case .key(.text(let text), let length):
                typed += text
                start += length
            case .key(let key, let length):
                flush()
                keys.append(key)
                start += length
            case .nothing(let length): start += length
            case .pasteBegins(let length):
                flush()
                paste = []
                start += length
            case .incomplete: break reading
            }
        }
        flush()
        pending.removeFirst(min(start, pending.count))
        return keys
    }

    /// The paste, once its end has come.
    private mutating func takePaste() -> String? {
        let end = Self.pasteEnd
        var place = 0
        while place + end.count <= pending.count, !pending[place...].starts(with: end) { place += 1 }
        let room = Self.pasteBytesMax - (paste?.count ?? 0)
        paste?.append(contentsOf: pending[..<place].prefix(room))
        let isWhole = place + end.count <= pending.count
        pending.removeFirst(isWhole ? place + end.count : place)
        guard isWhole, let bytes = paste else { return nil }
        paste = nil
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func cut(_ bytes: ArraySlice<UInt8>) -> Cut {
        let first = bytes[bytes.startIndex]
        if first == 0x1B { return cutEscape(bytes) }
        if first < 0x20 || first == 0x7F { return control(first).map { .key($0, length: 1) } ?? .nothing(length: 1) }
        let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        if bytes.count < length, bytes.dropFirst().allSatisfy({ $0 & 0xC0 == 0x80 }) { return .incomplete }
        guard let text = String(validating: bytes.prefix(length), as: UTF8.self) else { return .nothing(length: 1) }
        return .key(.text(text), length: length)
    }

    private static func control(_ byte: UInt8) -> EditorKey? {
        switch byte {
        case 0x01: .home
        case 0x02: .left
        case 0x03: .interrupt
        case 0x04: .deleteOrEnd
        case 0x05: .end
        case 0x06: .right
        case 0x07: .giveUp
        case 0x08, 0x7F: .backspace
        case 0x09: .text("\t")
        case 0x0A, 0x0D: .enter
        case 0x0B: .killToEnd
        case 0x0C: .clearScreen
        case 0x0E: .newer
        case 0x10: .older
        case 0x12: .search
        case 0x15: .killToHome
        case 0x17: .killWordLeft
        case 0x19: .yank
        case 0x1A: .suspend
        case 0x1C: .quit
        default: nil
        }
    }

    /// A key that begins with Escape: Alt and a key, or a sequence.
    private static func cutEscape(_ bytes: ArraySlice<UInt8>) -> Cut {
        guard bytes.count > 1 else { return .incomplete }
        switch bytes[bytes.startIndex + 1] {
        case UInt8(ascii: "["): return cutSequence(bytes)
        case UInt8(ascii: "O"):
            guard bytes.count > 2 else { return .incomplete }
            return arrow(bytes[bytes.startIndex + 2], isWord: false).map { .key($0, length: 3) } ?? .nothing(length: 3)
        case UInt8(ascii: "b"): return .key(.wordLeft, length: 2)
        case UInt8(ascii: "f"): return .key(.wordRight, length: 2)
        case UInt8(ascii: "d"): return .key(.killWordRight, length: 2)
        case 0x08, 0x7F: return .key(.killWordLeft, length: 2)
        case 0x0A, 0x0D: return .key(.lineBreak, length: 2)
        case 0x20..<0x7F: return .nothing(length: 2)
        default: return .nothing(length: 1)
        }
    }

    /// A control sequence (ECMA-48, 5.4): parameters, intermediates, one final byte.
    private static func cutSequence(_ bytes: ArraySlice<UInt8>) -> Cut {
        let body = bytes.dropFirst(2).prefix(sequenceBytesMax)
        guard let final = body.firstIndex(where: { !(0x20..<0x40).contains($0) }) else {
            return body.count < sequenceBytesMax ? .incomplete : .nothing(length: 2 + body.count)
        }
        let length = final - bytes.startIndex + 1
        // A control character in the middle of a sequence begins a new key.
        guard (0x40..<0x7F).contains(bytes[final]) else { return .nothing(length: length - 1) }
        // The Linux console's function keys have one letter more.
        if bytes[final] == UInt8(ascii: "["), body.startIndex == final {
            return bytes.count > length ? .nothing(length: length + 1) : .incomplete
        }
        let parameters = String(decoding: body[..<final], as: UTF8.self).split(
            separator: ";", omittingEmptySubsequences: false)
        // 3 is Alt, 5 is Control.
        let isWord = parameters.count > 1 && ["3", "5"].contains(parameters[1])
        guard bytes[final] == UInt8(ascii: "~") else {
            return arrow(bytes[final], isWord: isWord).map { .key($0, length: length) } ?? .nothing(length: length)
        }
        switch parameters.first {
        case "1", "7": return .key(.home, length: length)
        case "4", "8": return .key(.end, length: length)
        case "3": return .key(isWord ? .killWordRight : .delete, length: length)
        case "200": return .pasteBegins(length: length)
        default: return .nothing(length: length)
        }
    }

    private static func arrow(_ letter: UInt8, isWord: Bool) -> EditorKey? {
        switch letter {
        case UInt8(ascii: "A"): .older
        case UInt8(ascii: "B"): .newer
        case UInt8(ascii: "C"): isWord ? .wordRight : .right
        case UInt8(ascii: "D"): isWord ? .wordLeft : .left
        case UInt8(ascii: "H"): .home
        case UInt8(ascii: "F"): .end
        default: nil
        }
    }
}
