internal import BaseEncodings
internal import ModelNaming

/// The name that a pulled model gets in the folder of models.
package struct PulledName: Equatable, Sendable {
    /// The file's name without its ending.
    package let stem: String
    /// The format, without a dot: "gguf".
    package let ending: String
    /// The id that consumers name it by.
    package let id: String
    /// Whether the file's name does not give that id, so that its settings have to.
    package let needsSettings: Bool

    package var file: String { "\(stem).\(ending)" }

    /// The file of one of several parts; `number` from 1 (llama.cpp's names of split models).
    package func part(_ number: Int, of count: Int) -> String {
        let digits = { (number: Int) in String(repeating: "0", count: max(0, 5 - "\(number)".count)) + "\(number)" }
        return "\(stem)-\(digits(number))-of-\(digits(count)).\(ending)"
    }

    /// The name that the source gives, or the owner with `asked`, which is the id that the model is to have.
    package init(of source: PullSource, as asked: String?) throws(PullFailure) {
        let name: String
        switch source {
        case .image(let image): name = Self.name(of: image) + ".gguf"
        case .address(let address, _): name = Self.lastComponent(ofAddress: address)
        case .file(let path, _):
            name = String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...])
        }
        let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 }
        let said = dot.map { String(name[name.index(after: $0)...]) } ?? ""
        let hasEnding = said.wholeMatch(of: /[A-Za-z0-9]{1,16}/) != nil
        ending = hasEnding ? said : "gguf"
        guard let asked else {
            stem = hasEnding ? String(name[..<dot!]) : name
            guard Self.isSafe(stem) else {
                throw PullFailure(
                    .usage, "'\(name.prefix(64))' is no name for a file of models: name the model with --as")
            }
            id = ModelName(stem: stem).id
            needsSettings = false
            return
        }
        guard (1...128).contains(asked.utf8.count), !asked.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else {
            throw PullFailure(.usage, "--as '\(asked.prefix(64))': an id has 1 to 128 bytes without spaces or controls")
        }
        let plain = String(asked.unicodeScalars.map { Self.isPlain($0) ? Character($0) : $0 == ":" ? "." : "-" })
        stem = String(plain.drop { $0 == "." })
        guard Self.isSafe(stem) else {
            throw PullFailure(.usage, "--as '\(asked)': an id that a file can be named by has letters or digits")
        }
        id = asked
        needsSettings = ModelName(stem: stem).id != asked
    }

    /// The repository's last component and the tag: "smollm2-135M-Q4_K_M".
    private static func name(of image: ImageReference) -> String {
        var name = String(
            image.repository[
                (image.repository.lastIndex(of: "/").map(image.repository.index(after:)) ?? image.repository.startIndex)...
            ])
        // As repositories on Hugging Face are called.
        if name.lowercased().hasSuffix("-gguf"), name.count > 5 { name.removeLast(5) }
        if let tag = image.tag, tag != "latest" { name += "-\(tag)" }
        return name
    }

    private static func lastComponent(ofAddress address: String) -> String {
        let path = address.prefix { $0 != "?" && $0 != "#" }
        guard let scheme = path.firstRange(of: "://"), let slash = path[scheme.upperBound...].lastIndex(of: "/") else {
            return ""
        }
        let component = String(path[path.index(after: slash)...])
        return component.removingPercentEscapes
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": true
        default: false
        }
    }

    /// Whether it names a file in its folder that the agent does not pass over, and no terminal is steered by.
    private static func isSafe(_ stem: String) -> Bool {
        guard (1...200).contains(stem.utf8.count), !stem.utf8.starts(with: ".".utf8),
            !stem.utf8.contains(UInt8(ascii: "/"))
        else { return false }
        return stem.unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
            default: scalar != "\u{FFFD}"
            }
        }
    }
}

extension String {
    /// The text with its percent escapes decoded (RFC 3986, section 2.1); bytes that are no UTF-8 become U+FFFD.
    fileprivate var removingPercentEscapes: String {
        var bytes: [UInt8] = []
        var rest = Array(utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let escaped = fromHexadecimal(rest.prefix(2)) {
                bytes += escaped
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
