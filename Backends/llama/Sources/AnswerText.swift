import BackendIPC
import BackendKit
import CLlama
import LlamaPlanning

/// What tells one answer apart, of the library. One thread makes it, and hands it over to another, which is why this is
/// `unchecked`.
final class AnswerParser: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes over what `hearth_llama_answer_new` has made.
    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { hearth_llama_answer_free(pointer) }

    /// Texts that end the answer.
    var ends: [String] {
        (0..<hearth_llama_answer_end_count(pointer)).map { String(cString: hearth_llama_answer_end(pointer, $0)) }
    }
}

/// The text of one answer, from what the model writes to what its consumer gets: ends it at the first stop string, and tells
/// reasoning and tool calls apart. A class, because sequences are copied.
final class AnswerText {
    /// Why it ended; nil: it goes on.
    private(set) var ending: Ending?
    /// The request's stop strings, and behind them those of the model.
    private var stops: StopMatcher
    private let requestStops: Int
    /// Bytes that may begin a stop.
    private var held: [UInt8] = []
    /// Tells the parts apart; nil: all is text.
    private let parser: AnswerParser?
    private var pace = LookPace()
    /// What was not taken yet.
    private var reasoning: [UInt8] = []
    private var text: [UInt8] = []
    private var calls: [ToolCallPart] = []
    private var progress = CallProgress()
    /// Whether a second call ends the answer: not every format knows that there may be one only.
    private let callsOnce: Bool

    /// Nil where every byte of the model is text for the consumer. `parser`: nil where an assistant's message is continued, which
    /// goes on as it was begun, and where there is nothing to tell apart.
    init?(_ stopping: Stopping, _ parser: AnswerParser?, callsOnce: Bool) {
        requestStops = stopping.stop.count
        stops = StopMatcher(stopping.stop + (parser?.ends ?? []))
        self.parser = parser
        self.callsOnce = callsOnce
        if stops.isEmpty, parser == nil { return nil }
    }

    /// That of the library; nil: special tokens have no text.
    var parserPointer: OpaquePointer? { parser?.pointer }

    /// The tool of a call that is not whole, after `end`; nil where there is none.
    var unfinishedCall: String? { progress.unfinished }

    /// Adds the text of a token.
    func append(_ bytes: UnsafeRawBufferPointer) {
        guard !stops.isEmpty else { return pass(bytes) }
        for byte in bytes {
            held.append(byte)
            if let stop = stops.feed(byte) {
                held.removeLast(stops.byteCount(of: stop))
                ending = stop < requestStops ? .stopString(stop) : .endOfTurn
                break
            }
        }
        let free = ending == nil ? held.count - stops.heldCount : held.count
        held[..<free].withUnsafeBytes { pass($0) }
        held.removeFirst(free)
    }

    /// Nothing more comes: what was held back is text.
    func end() {
        if ending == nil, !held.isEmpty { held.withUnsafeBytes { pass($0) } }
        held = []
        look(isWhole: true)
    }

    /// Hands out what may be sent, at most so many bytes.
    func take(
        bytesMax: Int,
        _ body: (_ text: UnsafeRawBufferPointer, _ reasoning: UnsafeRawBufferPointer, _ calls: [ToolCallPart]) -> Void
    ) {
        let thought = min(reasoning.count, bytesMax)
        // Text comes behind all of the reasoning, and calls behind all of the text.
        let said = thought < reasoning.count ? 0 : min(text.count, bytesMax - thought)
        let isAllSaid = thought == reasoning.count && said == text.count
        let taken = isAllSaid && !calls.isEmpty ? takeCalls(bytesMax: bytesMax - thought - said) : []
        reasoning[..<thought].withUnsafeBytes { reasoning in
            text[..<said].withUnsafeBytes { body($0, reasoning, taken) }
        }
        reasoning.removeFirst(thought)
        text.removeFirst(said)
    }

    /// Takes out the calls' first parts, as many bytes as there is room for; arguments are cut between scalars.
    private func takeCalls(bytesMax: Int) -> [ToolCallPart] {
        var taken: [ToolCallPart] = []
        var room = bytesMax
        while let first = calls.first {
            if first.byteCount <= room {
                taken.append(first)
                calls.removeFirst()
                room -= first.byteCount
                continue
            }
            guard let (part, rest) = first.cut(bytesMax: room) else { break }
            taken.append(part)
            calls[0] = rest
            break
        }
        return taken
    }

    private func pass(_ bytes: UnsafeRawBufferPointer) {
        guard let parser else { return text.append(contentsOf: bytes) }
        guard !bytes.isEmpty else { return }
        hearth_llama_answer_append(parser.pointer, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
        if pace.came(bytes: bytes.count) { look(isWhole: false) }
    }

    private func look(isWhole: Bool) {
        guard let parser else { return }
        let parts = hearth_llama_answer_look(parser.pointer, isWhole)
        reasoning.append(contentsOf: parts.reasoning.buffer)
        text.append(contentsOf: parts.text.buffer)
        for piece in UnsafeBufferPointer(start: parts.calls, count: parts.call_count) {
            if callsOnce, piece.index > 0 {
                ending = ending ?? .endOfTurn
                break
            }
            let part = progress.part(
                index: piece.index, id: piece.id.string, name: piece.name.string,
                arguments: Array(piece.arguments.buffer))
            if let part { calls.append(part) }
        }
    }
}

extension hearth_llama_text {
    fileprivate var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: count) }
    fileprivate var string: String { String(decoding: buffer, as: UTF8.self) }
}
