internal import ChatTerminal
internal import Foundation
internal import InferenceMessages
internal import LinuxSystem
internal import StrictJSON
internal import SwiftProtobuf
internal import TerminalText

/// One question and its answer, printed as it comes. On a terminal the model's text is made harmless; elsewhere it is
/// printed byte for byte. The model's reasoning is a note beside the answer, for a terminal only.
struct ChatTurn {
    /// That of the last choice that was shown.
    private(set) var answer = ""
    private(set) var reason = Hearth_V1_FinishReason.unspecified
    /// Whether the turn has finished and its usage has come.
    private(set) var isOver = false
    /// Whether an event of the turn has come.
    private(set) var hasBegun = false
    /// With what the turn is resumed where its call ends before it; nil: the host resumes nothing.
    private(set) var resumeToken: String?
    /// The last event that has come; 0: none.
    private(set) var lastSeq: UInt64 = 0
    private let choices: UInt32
    private let showsStats: Bool
    /// Whether each event is printed, in place of the answer.
    private let printsEvents: Bool
    /// The choice that is shown, and the events of those that come after it.
    private var shown: UInt32 = 0
    private var held: [UInt32: [Hearth_V1_ChatEvent]] = [:]
    /// Whether the shown choice is whole.
    private var isShownOver = false
    /// Where they were asked for.
    private var logprobs: [Hearth_V1_TokenLogprob] = []
    private var calls: [Hearth_V1_ToolCall] = []
    private let asked = Monotonic.now()
    private var first: Monotonic?
    private var filter = Output.isTerminal ? PrintableText() : nil
    /// Set while the model reasons.
    private var reasoning: PrintableText?
    /// Whether the terminal's line is empty.
    private var isAtLineStart = true
    private var waiting = WaitingLine(style: ChatNotes.style, columns: ChatNotes.columns)

    /// `choices`: how many were asked for.
    init(showsStats: Bool, printsEvents: Bool, choices: UInt32 = 1) {
        self.choices = choices
        self.showsStats = showsStats
        self.printsEvents = printsEvents
    }

    mutating func take(_ event: Hearth_V1_ChatEvent) throws {
        hasBegun = true
        lastSeq = event.seq
        // It is a secret, and of no use to others.
        if case .resumable(let resumable) = event.event {
            resumeToken = resumable.resumeToken
            return
        }
        if printsEvents {
            if case .finished(let finished) = event.event { reason = finished.reason }
            if case .usage = event.event { isOver = true }
            return Output.write(try event.jsonString() + "\n")
        }
        if case .queued(let queued) = event.event {
            let loaded = queued.hasLoadedFraction ? queued.loadedFraction : nil
            let wait = queued.hasEstimatedWait ? queued.estimatedWait.seconds : nil
            return Output.log(waiting.show(position: queued.position, loadedFraction: loaded, waitSeconds: wait))
        }
        Output.log(waiting.erase())
        switch event.event {
        case .delta where event.choice != shown, .finished where event.choice != shown:
            held[event.choice, default: []].append(event)
        case .delta(let delta):
            if first == nil { first = .now() }
            showReasoning(delta.reasoning)
            logprobs += delta.logprobs.tokens
            take(delta.toolCalls.pieces)
            guard !delta.text.isEmpty else { break }
            endReasoning()
            answer += delta.text
            show(filter?.take(delta.text) ?? delta.text)
        case .finished(let finished):
            reason = finished.reason
            endAnswer()
            try showNext()
        case .usage(let usage):
            if showsStats { report(usage) }
            isOver = true
        case .paused(let paused): ChatNotes.write("paused: \(paused.message)")
        case .resumed: ChatNotes.write("it goes on")
        case .queued, .accepted, .resumable, nil: break
        }
    }

    /// The shown choice is whole.
    private mutating func endAnswer() {
        endReasoning()
        if calls.isEmpty || !answer.isEmpty { endLine() }
        for call in calls { Output.write(Self.line(call) + "\n") }
        for entry in logprobs { Output.log(ChatNotes.style.note(Self.line(entry)) + "\n") }
        if reason == .cancelled { ChatNotes.write("cancelled") }
        if reason == .length { ChatNotes.write("cut at the longest length") }
        isShownOver = true
    }

    /// Shows what has come of the next choice; of the last one there is none.
    private mutating func showNext() throws {
        let next = shown + 1
        guard next < choices else { return }
        ChatNotes.write("choice \(next + 1) of \(choices)")
        shown = next
        isShownOver = false
        (answer, calls, logprobs) = ("", [], [])
        filter = Output.isTerminal ? PrintableText() : nil
        for event in held.removeValue(forKey: next) ?? [] { try take(event) }
    }

    private mutating func take(_ pieces: [Hearth_V1_ToolCallPiece]) {
        for piece in pieces {
            if piece.index == calls.count { calls.append(.with { ($0.id, $0.name) = (piece.id, piece.name) }) }
            guard calls.indices.contains(Int(piece.index)) else { continue }
            calls[Int(piece.index)].arguments += piece.arguments
        }
    }

    /// `{"id": "a", "name": "get", "arguments": {}}`, in one line. On a terminal it is made harmless.
    private static func line(_ call: Hearth_V1_ToolCall) -> String {
        // A line break between two of its tokens is a blank of JSON; within a text it is escaped.
        let lines = call.arguments.unicodeScalars.split { $0 == "\n" || $0 == "\r" }
        let arguments = lines.map { String(Substring($0.drop { $0 == " " })) }.joined(separator: " ")
        let line =
            #"{"id": \#(jsonString(call.id)), "name": \#(jsonString(call.name)), "arguments": \#(arguments)}"#
        return Output.isTerminal ? printable(line) : line
    }

    /// The turn ends without `Usage`.
    mutating func abandon() {
        Output.log(waiting.erase())
        endReasoning()
        if first != nil, !isShownOver { endLine() }
    }

    private mutating func showReasoning(_ text: String) {
        guard !text.isEmpty, ChatNotes.isTerminal else { return }
        var filter = reasoning ?? PrintableText()
        Output.log(ChatNotes.style.note(filter.take(text)))
        reasoning = filter
    }

    private mutating func endReasoning() {
        guard var filter = reasoning else { return }
        Output.log(ChatNotes.style.note(filter.end()) + "\n\n")
        reasoning = nil
    }

    private mutating func show(_ text: String) {
        Output.write(text)
        if let last = text.utf8.last { isAtLineStart = last == UInt8(ascii: "\n") }
    }

    /// Ends the last line. On a terminal a text that ends its own last line gets no empty one; elsewhere a line end is
    /// always added.
    private mutating func endLine() {
        show(filter?.end() ?? "")
        if filter == nil || !isAtLineStart { show("\n") }
    }

    /// "\" Tom\" -0.105: \" Tom\" -0.105, \" He\" -2.303"
    private static func line(_ entry: Hearth_V1_TokenLogprob) -> String {
        func one(_ text: Data, _ logprob: Float) -> String {
            printable(String(decoding: text, as: UTF8.self).debugDescription) + String(format: " %.3f", logprob)
        }
        let alternatives = entry.alternatives.map { one($0.text, $0.logprob) }
        return one(entry.text, entry.logprob)
            + (alternatives.isEmpty ? "" : ": " + alternatives.joined(separator: ", "))
    }

    private func report(_ usage: Hearth_V1_Usage) {
        let decode = Double(usage.decodeTime.seconds) + Double(usage.decodeTime.nanos) / 1e9
        // The first token ends the prompt's time; the decode time was spent on the others.
        let rate = decode > 0 && usage.completionTokens > 1 ? Double(usage.completionTokens - 1) / decode : 0
        let waited = first.map { String(format: "%.1f ms", Double($0.since(asked)) / 1e6) } ?? "-"
        ChatNotes.write(
            "\(usage.promptTokens) prompt tokens (\(usage.cachedPromptTokens) cached), \(usage.completionTokens) tokens, "
                + String(format: "%.0f tokens/s, ", rate) + "first token after \(waited)")
    }
}

/// The command's own notes beside the answers, on standard error.
enum ChatNotes {
    private static let environment = ProcessInfo.processInfo.environment
    static let isTerminal = isatty(STDERR_FILENO) == 1

    static let style = TerminalStyle(isTerminal: isTerminal, environment: environment)

    /// The columns of the terminal that standard error is; nil: it is none, or one that cannot move its cursor.
    static var columns: Int? {
        guard isTerminal, TerminalStyle.canSteer(environment: environment) else { return nil }
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    static func write(_ text: String) { Output.log(style.note("[\(printable(text))]") + "\n") }
}
