package import StrictJSON

/// What `hearth-pull` says while it works: one JSON object on a line of its standard output. Its texts may come from a
/// registry, and are not fit for a terminal.
package struct PullEvent: Equatable, Sendable {
    package enum Kind: String, Sendable {
        /// The source is asked what there is.
        case resolving
        /// `text`: the licence's first lines, before anything large is fetched.
        case licence
        /// `text`: the file's name; `total`: its bytes, 0 before they are known.
        case found
        /// `done` of `total` bytes were read back and are what arrived.
        case verifying
        /// `done` of `total` bytes are here.
        case downloading
        /// `text`: a sentence that a person should read.
        case note
        /// The model is in its place: `model` is its id, `name` the shortest name that it can be asked for by.
        case done
        /// `text`: why it ended; `code`: the exit code.
        case failed
    }

    package var kind: Kind
    package var text = ""
    /// Bytes.
    package var done: UInt64 = 0
    /// Bytes; 0: not known.
    package var total: UInt64 = 0
    package var model = ""
    package var name = ""
    package var code: UInt64 = 0

    /// The longest line of an event; longer texts are cut.
    package static let lineBytesMax = 4_000
    private static let textBytesMax = 2_000

    package init(_ kind: Kind, _ text: String = "", done: UInt64 = 0, total: UInt64 = 0) {
        self.kind = kind
        self.text = text
        self.done = done
        self.total = total
    }

    /// The end that a failure is.
    package init(_ failure: PullFailure) {
        self.init(.failed, failure.description)
        code = UInt64(failure.kind.rawValue)
    }

    /// Fits into `lineBytesMax` with its line end.
    package var json: String {
        // Six bytes are the longest escape.
        var room = Self.textBytesMax
        let cut = String(
            text.unicodeScalars.prefix {
                room -= $0.value < 0x20 ? 6 : $0 == "\"" || $0 == "\\" ? 2 : UTF8.width($0)
                return room >= 0
            }.map(Character.init))
        return JSONLine.object([
            ("event", .text(kind.rawValue)), ("text", cut.isEmpty ? nil : .text(cut)),
            ("done", done == 0 ? nil : .number(done)), ("total", total == 0 ? nil : .number(total)),
            ("model", model.isEmpty ? nil : .text(model)), ("name", name.isEmpty ? nil : .text(name)),
            ("code", code == 0 ? nil : .number(code)),
        ])
    }

    package init(json: [UInt8]) throws(JSONError) {
        let place = "hearth-pull's event"
        let reader = try JSONObjectReader(
            JSONNode.parse(json, file: place), "the event",
            keys: ["event", "text", "done", "total", "model", "name", "code"], file: place)
        guard let kind = Kind(rawValue: try reader.required("event")) else {
            throw reader.failure("event", "is none that this version knows")
        }
        self.kind = kind
        text = try reader.string("text") ?? ""
        done = try reader.integer("done") ?? 0
        total = try reader.integer("total") ?? 0
        model = try reader.string("model") ?? ""
        name = try reader.string("name") ?? ""
        code = try reader.integer("code", max: 255) ?? 0
    }
}
