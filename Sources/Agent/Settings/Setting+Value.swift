internal import LinuxSystem
internal import StrictJSON

extension Setting {
    /// How a source writes values.
    enum Notation {
        case json, flag, variable
    }

    /// Texts are paths, names and addresses.
    static let textBytesMax = 4096
    static let textsMax = 256

    /// The accepted values, in words that follow "must be".
    func expected(_ notation: Notation) -> String {
        switch kind {
        case .toggle: "true or false"
        case .choice(let words, _):
            words.map { notation == .json ? "\"\($0)\"" : $0 }.joined(separator: " or ")
        case .seconds: "seconds, a whole number from 0 to \(UInt32.max)"
        case .fraction: "a number from 0 to 1, such as 0.1"
        case .size:
            "a size with its unit, such as \(notation == .json ? "\"8G\"" : "8G") or \(notation == .json ? "\"512M\"" : "512M")"
        case .text(let noun, let example, _):
            notation == .json ? "\(noun) in quotes, such as \"\(example)\"" : "\(noun), such as \(example)"
        case .texts(let noun, let example, _): several(noun, example, notation)
        case .addresses: several("addresses", "127.0.0.1:50051", notation)
        }
    }

    private func several(_ noun: String, _ example: String, _ notation: Notation) -> String {
        switch notation {
        case .json: "a list of \(noun), such as [\"\(example)\"]"
        case .variable: "\(noun) with commas between them, such as \(example)"
        case .flag: "one of the \(noun), such as \(example)"
        }
    }

    /// The value in a file, as the texts that a flag would have. Throws for a value of another type.
    func texts(of member: JSONNode.Member, file: String) throws(HostError) -> [String] {
        func refusal(_ node: JSONNode) -> HostError {
            HostError("\(file):\(node.line): '\(key.rawValue)' must be \(expected(.json)), not \(node.found)")
        }
        switch (kind, member.node.value) {
        case (.toggle, .bool(let flag)): return ["\(flag)"]
        case (.seconds, .number(let text)), (.fraction, .number(let text)): return [text]
        case (.text, .string(let text)), (.choice, .string(let text)), (.size, .string(let text)): return [text]
        case (.texts, .array(let elements)), (.addresses, .array(let elements)):
            var texts: [String] = []
            for element in elements {
                guard case .string(let text) = element.value else {
                    throw HostError(
                        "\(file):\(element.line): '\(key.rawValue)' must be \(expected(.json)); in the list is "
                            + element.found)
                }
                texts.append(text)
            }
            return texts
        default: throw refusal(member.node)
        }
    }

    /// Sets the value that a source gives. `place` names the setting as that source does. Throws with the expected and
    /// the given value.
    func set(
        _ texts: [String], in configuration: inout HostConfiguration, place: String, _ notation: Notation
    ) throws(HostError) {
        try check(texts, place: place, notation)
        // All but lists have exactly one.
        let text = texts.last ?? ""
        let refusal = HostError("\(place) must be \(expected(notation)), not '\(text)'")
        switch kind {
        case .toggle(let path):
            guard let value = Setting.toggles[text.lowercased()] else { throw refusal }
            configuration[keyPath: path] = value
        case .choice(let words, let path):
            guard words.contains(text) else { throw refusal }
            configuration[keyPath: path] = text
        case .seconds(let path):
            guard let seconds = UInt32(text), text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { throw refusal }
            configuration[keyPath: path] = seconds
        case .fraction(let path):
            guard let number = Double(text), (0...1).contains(number), text.utf8.allSatisfy({ $0 < 0x7f && $0 > 0x20 })
            else { throw refusal }
            configuration[keyPath: path] = number
        case .size(let path):
            guard let bytes = Setting.bytes(text) else { throw refusal }
            configuration[keyPath: path] = bytes
        case .text(_, _, let path): configuration[keyPath: path] = text
        case .texts(_, _, let path): configuration[keyPath: path] = texts
        case .addresses:
            configuration.listen = []
            for text in texts {
                do throws(SocketAddressError) {
                    configuration.listen.append(try SocketAddress(text))
                } catch {
                    throw HostError("\(place) \(error)")
                }
            }
        }
    }

    /// Reads a whole number and M, G or T, which are powers of 1,024; nil for any other text.
    static func bytes(_ text: String) -> UInt64? {
        let units: [Character: UInt64] = ["m": 20, "g": 30, "t": 40]
        var digits = Substring(text.lowercased())
        for ending in ["ib", "b"] where digits.hasSuffix(ending) {
            digits.removeLast(ending.count)
            break
        }
        guard let unit = digits.popLast().flatMap({ units[$0] }), digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let number = UInt64(digits), number > 0, number <= UInt64.max >> unit
        else { return nil }
        return number << unit
    }

    /// The texts of a switch; in a file it is true or false.
    private static let toggles = ["true": true, "yes": true, "1": true, "false": false, "no": false, "0": false]

    /// Whether the list may be empty: for these, that is the default and opens nothing. An empty list of addresses or
    /// subjects would be ambiguous.
    private var allowsNone: Bool { key == .readable || key == .devices }

    /// Checks the rules for every text.
    private func check(_ texts: [String], place: String, _ notation: Notation) throws(HostError) {
        guard !texts.isEmpty || allowsNone else {
            throw HostError("\(place) is an empty list: it must be \(expected(notation)); or leave it out")
        }
        guard texts.count <= Setting.textsMax else {
            throw HostError("\(place) has \(texts.count) entries; at most \(Setting.textsMax)")
        }
        for text in texts {
            guard !text.isEmpty else {
                let found = takesSeveral ? "has an empty entry" : "is empty"
                throw HostError("\(place) \(found): it must be \(expected(notation)); or leave it out")
            }
            guard text.utf8.count <= Setting.textBytesMax else {
                throw HostError("\(place) has \(text.utf8.count) bytes; at most \(Setting.textBytesMax)")
            }
            guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
                throw HostError("\(place) has a control character in it: it must be \(expected(notation))")
            }
        }
    }
}
