import BackendIPC
import BackendKit
import CLlama
import LlamaPlanning

/// The text of one answer, from what the model writes to what its consumer gets: ends it at the first stop string, and tells
/// the reasoning apart. A class, because sequences are copied.
final class AnswerText {
    /// Why it ended; nil: it goes on.
    private(set) var ending: Ending?
    /// The request's stop strings, and behind them those of the model.
    private var stops: StopMatcher
    private let requestStops: Int
    /// Bytes that may begin a stop.
    private var held: [UInt8] = []
    /// Tells the parts apart; nil: all is text.
    private let parser: OpaquePointer?
    private var pace = LookPace()
    /// What was not taken yet.
    private var reasoning: [UInt8] = []
    private var text: [UInt8] = []

    /// Nil where every byte of the model is text for the consumer.
    init?(_ request: GenerateRequest, _ model: LlamaModel) {
        var stops = request.stopping.stop
        requestStops = stops.count
        if case .messages = request.prompt, request.prompt.continued == nil, request.grammar == nil {
            parser = model.newAnswer()
            stops += model.answerEnds
        } else {
            // What an assistant's message has begun is continued as it is, and what is held to a form is all text.
            parser = nil
        }
        self.stops = StopMatcher(stops)
        if stops.isEmpty, parser == nil { return nil }
    }

    deinit { hearth_llama_answer_free(parser) }

    /// Whether special tokens that are marks have a text.
    var showsMarks: Bool { parser != nil }

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
        if parser != nil { look(isWhole: true) }
    }

    /// Hands out what may be sent, at most so many bytes.
    func take(bytesMax: Int, _ body: (_ text: UnsafeRawBufferPointer, _ reasoning: UnsafeRawBufferPointer) -> Void) {
        let thought = min(reasoning.count, bytesMax)
        // Text comes behind all of the reasoning.
        let said = thought < reasoning.count ? 0 : min(text.count, bytesMax - thought)
        reasoning[..<thought].withUnsafeBytes { reasoning in
            text[..<said].withUnsafeBytes { body($0, reasoning) }
        }
        reasoning.removeFirst(thought)
        text.removeFirst(said)
    }

    private func pass(_ bytes: UnsafeRawBufferPointer) {
        guard let parser else { return text.append(contentsOf: bytes) }
        guard !bytes.isEmpty else { return }
        hearth_llama_answer_append(parser, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
        if pace.came(bytes: bytes.count, atNanoseconds: Backend.nowNanoseconds) { look(isWhole: false) }
    }

    private func look(isWhole: Bool) {
        let began = Backend.nowNanoseconds
        let parts = hearth_llama_answer_look(parser, isWhole)
        reasoning.append(contentsOf: UnsafeRawBufferPointer(start: parts.reasoning, count: parts.reasoning_bytes))
        text.append(contentsOf: UnsafeRawBufferPointer(start: parts.text, count: parts.text_bytes))
        pace.looked(fromNanoseconds: began, toNanoseconds: Backend.nowNanoseconds)
    }
}
