internal import Foundation
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import TerminalText

/// One question and its answer, printed as it comes. On a terminal the model's text is made harmless; elsewhere it is what the
/// model said, byte for byte.
struct ChatTurn {
    private(set) var answer = ""
    private(set) var reason = Hearth_V1_FinishReason.unspecified
    /// Finished, and its usage told.
    private(set) var isOver = false
    /// The host has said something of it.
    private(set) var hasBegun = false
    private let showsStats: Bool
    private let asked = Monotonic.now()
    private var first: Monotonic?
    private var filter = Output.isTerminal ? PrintableText() : nil

    init(showsStats: Bool) { self.showsStats = showsStats }

    mutating func take(_ event: Hearth_V1_ChatEvent) {
        hasBegun = true
        switch event.event {
        case .queued(let queued): Self.note("waiting, \(queued.position) before this")
        case .delta(let delta):
            if first == nil { first = .now() }
            answer += delta.text
            Output.write(filter?.take(delta.text) ?? delta.text)
        case .finished(let finished): reason = finished.reason
        case .usage(let usage):
            Output.write((filter?.end() ?? "") + "\n")
            report(usage)
            isOver = true
        case .accepted, nil: break
        }
    }

    /// It ends without an end.
    mutating func abandon() {
        if first != nil { Output.write((filter?.end() ?? "") + "\n") }
    }

    private func report(_ usage: Hearth_V1_Usage) {
        if reason == .cancelled { Self.note("cancelled") }
        if reason == .length { Self.note("cut at the longest length") }
        guard showsStats else { return }
        let decode = Double(usage.decodeTime.seconds) + Double(usage.decodeTime.nanos) / 1e9
        // The first token ends the prompt's time; the others are what the decode time was spent on.
        let rate = decode > 0 && usage.completionTokens > 1 ? Double(usage.completionTokens - 1) / decode : 0
        let waited = first.map { String(format: "%.1f ms", Double($0.since(asked)) / 1e6) } ?? "-"
        Self.note(
            "\(usage.promptTokens) prompt tokens (\(usage.cachedPromptTokens) cached), \(usage.completionTokens) tokens, "
                + String(format: "%.0f tokens/s, ", rate) + "first token after \(waited)")
    }

    private static func note(_ text: String) { Output.note("[\(text)]") }
}
