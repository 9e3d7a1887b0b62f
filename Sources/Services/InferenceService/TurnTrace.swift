internal import BaseEncodings
internal import Cryptography
internal import GRPC
internal import LinuxSystem
internal import Logging
internal import TraceExport

/// What a turn that is traced tells in its spans, which are made once, at its end: one for the whole turn, and parts of it for
/// the wait in the queue, the wait for the model, the prompt, the tokens, and their last bytes. A value; pure but for the
/// spans' numbers.
///
/// The names are those of OpenTelemetry's conventions for generative AI and for RPC. Nothing of a prompt, an answer, a key or
/// a status's message is in them.
struct TurnTrace {
    /// The moments of a turn that its state knows, on the clock of `Monotonic.awake`.
    struct Times: Equatable {
        var arrived: Monotonic
        var begun: Monotonic?
        var firstToken: Monotonic?
        var lastToken: Monotonic?
    }

    /// What was computed, in numbers.
    struct Figures: Equatable {
        var promptTokens: UInt32 = 0
        var cachedPromptTokens: UInt32 = 0
        var completionTokens: UInt32 = 0
        /// Of each choice that is whole: "stop", "length", "tool_calls" or "cancelled".
        var finishReasons: [String] = []
    }

    /// What happens to a turn.
    enum Happening: String {
        case paused = "hearth.paused"
        case resumed = "hearth.resumed"
        case backendLost = "hearth.backend_lost"
        case hostAsleep = "hearth.host_asleep"
    }

    let place: SpanPlace
    private let operation: String
    private let model: String
    private let request: [Span.Attribute]
    private let eventsMax: Int
    private var happened: [(Happening, Monotonic)] = []
    private var unkept: UInt64 = 0
    private var last: Happening?
    /// Since when the model that it began on could be used.
    private var loaded: Monotonic?

    /// `path`: that of the call, "/hearth.v1.Inference/Chat".
    init(_ place: SpanPlace, _ request: TurnRequest, model: String, path: String, eventsMax: Int) {
        self.place = place
        self.model = model
        self.eventsMax = eventsMax
        if case .messages? = request.prompt { operation = "chat" } else { operation = "text_completion" }
        let names = path.split(separator: "/")
        self.request =
            [
                Span.Attribute("rpc.system", .text("grpc")),
                Span.Attribute("rpc.service", .text(names.first.map(String.init) ?? "")),
                Span.Attribute("rpc.method", .text(names.last.map(String.init) ?? "")),
                Span.Attribute("gen_ai.provider.name", .text("hearth")),
                Span.Attribute("gen_ai.operation.name", .text(operation)),
                Span.Attribute("gen_ai.request.model", .text(model)),
            ] + Self.asked(request)
    }

    private static func asked(_ request: TurnRequest) -> [Span.Attribute] {
        let sampling = request.sampling
        let fractions: [(String, Float?)] = [
            ("temperature", sampling.temperature), ("top_p", sampling.topP),
            ("frequency_penalty", sampling.frequencyPenalty), ("presence_penalty", sampling.presencePenalty),
        ]
        let numbers: [(String, Int64?)] = [
            ("max_tokens", request.stopping.maxTokens.map(Int64.init)),
            ("seed", sampling.seed.map { Int64(bitPattern: $0) }),
            ("choice.count", request.choiceCount > 1 ? Int64(request.choiceCount) : nil),
        ]
        return numbers.compactMap { name, value in
            value.map { Span.Attribute("gen_ai.request.\(name)", .number($0)) }
        }
            + fractions.compactMap { name, value in
                value.map { Span.Attribute("gen_ai.request.\(name)", .fraction(Double($0))) }
            }
    }

    /// What changes nothing is not told: all turns hear of what their owner does, and all choices of a lost process.
    mutating func note(_ happening: Happening, at now: Monotonic) {
        guard happening != last, happening != .resumed || last == .paused || last == .backendLost else { return }
        last = happening
        if happened.count < eventsMax { happened.append((happening, now)) } else { unkept += 1 }
    }

    /// The turn begins on a process that has been ready since this moment.
    mutating func began(onProcessReadySince ready: Monotonic?) {
        if loaded == nil { loaded = ready }
    }

    /// For lines of the log that belong to the turn.
    var logMetadata: Logger.Metadata { Logger.Metadata(traceID: place.traceID, spanID: place.id) }

    /// The turn's spans, the whole one first. `server`: what consumers call.
    func spans(
        _ times: Times, _ figures: Figures, _ ending: TurnState.Ending, server: [Span.Attribute], clock: WallClock
    ) -> [Span] {
        let end = clock.nanoseconds
        var whole = Span(
            traceID: place.traceID, id: place.id, parentID: place.parentID, traceState: place.state,
            name: "\(operation) \(model)", kind: .server, start: clock.nanoseconds(at: times.arrived), end: end,
            attributes: request + server + Self.computed(figures, model))
        whole.events = happened.map { Span.Event($0.rawValue, at: clock.nanoseconds(at: $1)) }
        whole.droppedEvents = unkept
        switch ending {
        case .complete: whole.attributes.append(Span.Attribute("rpc.grpc.status_code", .number(0)))
        case .failed(let status): whole.fail(status)
        case .abandoned: whole.fail(Status(.cancelled))
        }
        return [whole] + parts(times, clock)
    }

    /// Those whose moments came.
    private func parts(_ times: Times, _ clock: WallClock) -> [Span] {
        func part(_ name: String, _ start: Monotonic?, _ end: Monotonic?) -> Span? {
            guard let start else { return nil }
            return Span(
                traceID: place.traceID, id: SecretBytes.random(8), parentID: place.id, traceState: place.state,
                name: name, start: clock.nanoseconds(at: start), end: end.map(clock.nanoseconds) ?? clock.nanoseconds,
                attributes: [Span.Attribute("gen_ai.request.model", .text(model))])
        }
        // A model that was ready when the turn came was not waited for.
        let waitedForModel = loaded.map { $0 > times.arrived } ?? false
        let load = waitedForModel ? part("load", times.arrived, min(loaded, times.begun)) : nil
        return [
            part("queue", times.arrived, times.begun), load, part("prefill", times.begun, times.firstToken),
            part("decode", times.firstToken, times.lastToken), part("send", times.lastToken, nil),
        ].compactMap { $0 }
    }

    private func min(_ one: Monotonic?, _ other: Monotonic?) -> Monotonic? {
        guard let one, let other else { return one ?? other }
        return one < other ? one : other
    }

    private static func computed(_ figures: Figures, _ model: String) -> [Span.Attribute] {
        var attributes = [
            Span.Attribute("gen_ai.response.model", .text(model)),
            Span.Attribute("gen_ai.usage.input_tokens", .number(Int64(figures.promptTokens))),
            Span.Attribute("gen_ai.usage.output_tokens", .number(Int64(figures.completionTokens))),
        ]
        if figures.cachedPromptTokens > 0 {
            attributes.append(
                Span.Attribute("gen_ai.usage.cache_read.input_tokens", .number(Int64(figures.cachedPromptTokens))))
        }
        if !figures.finishReasons.isEmpty {
            attributes.append(Span.Attribute("gen_ai.response.finish_reasons", .texts(figures.finishReasons)))
        }
        return attributes
    }
}

extension Span {
    /// Says that it failed and with which code, without the status's words.
    fileprivate mutating func fail(_ status: Status) {
        isFailed = true
        attributes.append(Attribute("error.type", .text(status.code.name)))
        attributes.append(Attribute("rpc.grpc.status_code", .number(Int64(status.code.rawValue))))
        if let limit = status.limit { attributes.append(Attribute("hearth.limit", .text(limit))) }
    }
}

extension Logger.Metadata {
    /// The trace that a line of the log belongs to.
    init(traceID: [UInt8], spanID: [UInt8]) {
        self = ["trace_id": "\(hexadecimal(traceID))", "span_id": "\(hexadecimal(spanID))"]
    }
}
