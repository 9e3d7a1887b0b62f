internal import Foundation
internal import Logging
internal import StrictJSON
internal import TerminalText

/// Writes each line of the agent's log as one JSON object: time (RFC 3339), level, label, message, the trace that the line
/// belongs to, and the other fields as `metadata`.
struct JSONLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()
    var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let stream: LogStream

    /// Fields that stand beside the message, so that a reader finds a trace by their names.
    private static let ofTrace = ["trace_id", "span_id"]

    init(label: String, stream: LogStream) {
        self.label = label
        self.stream = stream
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata.merging(event.metadata ?? [:]) { $1 }
        let time = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        var members = [
            ("time", time), ("level", event.level.rawValue), ("label", label), ("message", event.message.description),
        ].map { "\(jsonString($0)):\(jsonString($1))" }
        for key in Self.ofTrace {
            if let value = fields.removeValue(forKey: key) { members.append("\(jsonString(key)):\(Self.json(value))") }
        }
        if !fields.isEmpty { members.append("\"metadata\":\(Self.json(.dictionary(fields)))") }
        stream.write(json: "{\(members.joined(separator: ","))}")
    }

    private static func json(_ value: Logger.Metadata.Value) -> String {
        switch value {
        case .string(let text): jsonString(text)
        case .stringConvertible(let value): jsonString(value.description)
        case .array(let values): "[\(values.map(json).joined(separator: ","))]"
        case .dictionary(let fields):
            "{\(fields.sorted { $0.key < $1.key }.map { "\(jsonString($0)):\(json($1))" }.joined(separator: ","))}"
        }
    }
}
