package import BackendKit
internal import StrictJSON
internal import WireFormat

/// Makes parts of tool calls of what the parser of an answer finds of them, and knows whether the last call is whole. Pure.
package struct CallProgress {
    /// The arguments of the last call so far, and its tool.
    private var scan = JSONObjectScan()
    private var name: String?
    private var isBroken = false
    /// Bytes that begin a scalar.
    private var held: [UInt8] = []

    package init() {}

    /// The tool of the last call, where its arguments are no JSON object yet; nil where they are, or there is no call.
    package var unfinished: String? {
        guard let name else { return nil }
        return !isBroken && held.isEmpty && (try? scan.end()) != nil ? nil : name
    }

    /// The next part of a call; nil where nothing of it can be told yet. `id` and `name` are in the first of each call only, the
    /// id where the model gave one.
    package mutating func part(index: Int, id: String, name: String, arguments: [UInt8]) -> ToolCallPart? {
        let isFirst = !name.isEmpty
        if isFirst {
            self.name = name
            scan = JSONObjectScan()
            isBroken = false
            held = []
        }
        held += arguments
        let whole = held.withUnsafeBytes { UTF8Text.prefix(of: $0).byteCount }
        let text = String(decoding: held[..<whole], as: UTF8.self)
        do {
            try scan.read(Array(held[..<whole]))
        } catch {
            isBroken = true
        }
        held.removeFirst(whole)
        guard isFirst || !text.isEmpty else { return nil }
        return ToolCallPart(
            index: index, id: isFirst ? (Self.isID(id) ? id : ToolCallPart.newID()) : "", name: name, arguments: text)
    }

    private static func isID(_ id: String) -> Bool { (1...64).contains(id.utf8.count) }
}

extension ToolCallPart {
    /// Cuts the arguments, so that the first part has at most so many bytes; nil where there is no room for any.
    package func cut(bytesMax: Int) -> (ToolCallPart, ToolCallPart)? {
        let room = bytesMax - (byteCount - arguments.utf8.count)
        guard room > 0 else { return nil }
        var bytes = 0
        let end = arguments.unicodeScalars.firstIndex { scalar in
            bytes += UTF8.width(scalar)
            return bytes > room
        }
        guard let end, end > arguments.startIndex else { return nil }
        return (
            ToolCallPart(index: index, id: id, name: name, arguments: String(arguments[..<end])),
            ToolCallPart(index: index, arguments: String(arguments[end...]))
        )
    }
}
