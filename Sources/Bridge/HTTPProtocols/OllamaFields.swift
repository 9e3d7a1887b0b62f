internal import Foundation
internal import StrictJSON
internal import SwiftProtobuf

// What the requests of Ollama's protocol have in common.
extension RequestObject {
    /// The id of the model; empty where the only one is meant.
    func ollamaModel() throws(HTTPFailure) -> String { OllamaModels.id(try string("model") ?? "") }

    /// The name of a model, which older clients have in `name`.
    func modelOrName() throws(HTTPFailure) -> String {
        let names = try (string("model") ?? "", string("name") ?? "")
        if !names.0.isEmpty, !names.1.isEmpty, names.0 != names.1 {
            throw failure("name", "and 'model' differ: leave one out")
        }
        let name = names.0.isEmpty ? names.1 : names.0
        guard !name.isEmpty else { throw failure("model", "is missing") }
        return name
    }

    /// Refuses members that this host does not take, unless they say nothing, as some clients always send them: false,
    /// or empty. `members`: each with the remedy.
    func refuse(unlessEmpty members: [(key: String, remedy: String)]) throws(HTTPFailure) {
        for (key, remedy) in members {
            switch node(key)?.value {
            case nil, .bool(false), .string(""): continue
            case .array(let elements) where elements.isEmpty: continue
            case .object(let members) where members.isEmpty: continue
            default:
                throw .invalid(
                    place(key), "'\(place(key))' is not supported here: \(remedy)", code: "unsupported_parameter")
            }
        }
    }

    /// `keep_alive` in seconds: 0 to `OllamaTime.keepAliveSecondsMax`.
    func keepAliveSeconds() throws(HTTPFailure) -> Double? {
        guard let node = node("keep_alive") else { return nil }
        let seconds: Double? =
            switch node.value {
            case .number(let text): Double(text)
            case .string(let text): OllamaTime.seconds(text)
            default: nil
            }
        guard let seconds else {
            throw failure(
                "keep_alive",
                "must be a number of seconds, or a time such as \"5m\", \"1h30m\" or \"-1\", not \(node.found)")
        }
        return seconds < 0 ? OllamaTime.keepAliveSecondsMax : min(seconds, OllamaTime.keepAliveSecondsMax)
    }
}

/// Times of Ollama's protocol.
enum OllamaTime {
    /// The longest that a model is kept for one request, which is also what "for ever" comes to here.
    static let keepAliveSecondsMax = 86_400.0

    /// A moment in UTC (RFC 3339), of seconds since 1970.
    static func text(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
    }

    static func nanoseconds(_ duration: Google_Protobuf_Duration) -> Int64 {
        // Nine thousand million seconds, 285 years, are what the type holds.
        min(max(0, duration.seconds), 9_000_000_000) * 1_000_000_000 + min(max(0, Int64(duration.nanos)), 999_999_999)
    }

    static func duration(_ seconds: Double) -> Google_Protobuf_Duration {
        var duration = Google_Protobuf_Duration()
        duration.seconds = Int64(seconds)
        duration.nanos = Int32((seconds - seconds.rounded(.down)) * 1e9)
        return duration
    }

    private static let secondsOfUnit: [String: Double] = [
        "ns": 1e-9, "us": 1e-6, "\u{b5}s": 1e-6, "\u{3bc}s": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3_600,
    ]

    /// The seconds of a time as Go writes it, such as "1h30m", "250ms" or "-1s", or of a number without a unit; nil for
    /// another text.
    static func seconds(_ text: String) -> Double? {
        var rest = text[...]
        var sign = 1.0
        if let mark = rest.first, mark == "-" || mark == "+" {
            if mark == "-" { sign = -1 }
            rest.removeFirst()
        }
        if let number = number(rest) { return sign * number }
        var total = 0.0
        repeat {
            let digits = rest.prefix { isOfNumber($0) }
            rest.removeFirst(digits.count)
            let unit = rest.prefix { !isOfNumber($0) }
            rest.removeFirst(unit.count)
            guard let value = number(digits), let scale = secondsOfUnit[String(unit)] else { return nil }
            total += value * scale
        } while !rest.isEmpty
        return sign * total
    }

    private static func isOfNumber(_ character: Character) -> Bool {
        character.isASCII && "0123456789.".contains(character)
    }

    private static func number(_ digits: Substring) -> Double? {
        digits.allSatisfy(isOfNumber) ? Double(digits) : nil
    }
}
