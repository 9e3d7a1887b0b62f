import BackendKit
import EchoTokens
import Glibc

/// One running completion: the tokens that are left, and when they are due.
struct EchoSequence {
    /// The result of a step for a sequence.
    enum Progress {
        /// It goes on at this time of CLOCK_MONOTONIC, in nanoseconds.
        case goesOn(nanoseconds: UInt64)
        /// It sends nothing more and never ends.
        case silent
        case over
    }

    /// The scalar of four bytes that follows each word when scalars are to be split.
    static let splitScalar: [UInt8] = [0xf0, 0x9f, 0x94, 0xa5]

    let prompt: PromptTokens
    private let tokens: EchoTokens
    /// The texts of its tokens, where they are not echo's usual ones: the words of the prompt, or of a form.
    private let words: [[UInt8]]
    private let isHeld: Bool
    private let options: EchoOptions
    private let drafts: Bool
    private let stopTokenIDs: [UInt32]
    private let bias: EchoBias
    /// Neither the turn nor a stop token ends it before so many tokens.
    private let minTokens: UInt64
    /// How many alternatives come with the log-probability of each token; nil: none is told.
    private let logprobs: Int?
    /// So many tokens at the beginning are reasoning.
    private let reasoningTokens: UInt64
    /// What the tokens behind the reasoning bring, in place of text, where it calls tools.
    private let callParts: [ToolCallPart]
    /// The completion's length, and how it then ends.
    private let count: UInt64
    private let ending: Ending
    /// The tokens that an earlier process sent.
    private let sent: UInt64
    private var index: UInt64 = 0
    private var due: UInt64

    /// - Parameters:
    ///   - variation: the bytes that its adapters add to the prompt.
    ///   - drafts: whether it says that it drafts tokens.
    init(
        _ request: GenerateRequest, options: EchoOptions, contextTokens: Int, variation: [UInt8], drafts: Bool
    ) throws(EngineFault) {
        let prompt = EchoPrompt(request.prompt)
        guard prompt.words.count < contextTokens else {
            throw EngineFault(
                .contextOverflow,
                "the prompt has \(prompt.words.count) tokens and the context \(contextTokens), of which one is for"
                    + " the completion; shorten the prompt")
        }
        self.prompt = PromptTokens(total: prompt.words.count)
        self.options = options
        self.drafts = drafts
        tokens = EchoTokens(seed: request.sampling.seed ?? 0, prompt: prompt.varied(by: variation))
        isHeld = request.grammar != nil
        if let grammar = request.grammar {
            words = try EchoForm.words(grammar, after: request.prompt.continued ?? "", tokens)
        } else {
            words = options.repeatsPrompt ? prompt.words : []
        }
        stopTokenIDs = request.stopping.stopTokenIDs
        bias = try EchoBias(request.sampling.logitBias)
        minTokens = UInt64(request.stopping.minTokens ?? 0)
        logprobs = request.logprobs
        if case .messages = request.prompt, !isHeld { reasoningTokens = options.reasoning } else { reasoningTokens = 0 }
        callParts = EchoCalls(request, prompt).parts
        sent = UInt64(request.generatedTokenIDs.count)
        due = Backend.nowNanoseconds + (sent == 0 ? options.delayMilliseconds * 1_000_000 : 0)
        // The smallest of these limits ends it; when the turn ends at the same token as another, the reason is LENGTH.
        let room = UInt64(contextTokens - prompt.words.count)
        let longest = min(request.stopping.maxTokens.map { UInt64($0) } ?? room, room)
        let turn: UInt64? =
            if isHeld {
                UInt64(words.count)
            } else if let end = options.endAt {
                end
            } else if !callParts.isEmpty {
                reasoningTokens + UInt64(callParts.count)
            } else if options.repeatsPrompt {
                UInt64(prompt.words.count)
            } else if request.stopping.maxTokens == nil, !request.stopping.ignoresEndOfTurn {
                EchoEngine.turnTokens
            } else {
                nil
            }
        // A form ends where nothing can follow.
        let least = isHeld ? 0 : minTokens
        if let turn, max(turn, least) < longest {
            (count, ending) = (max(turn, least), .endOfTurn)
        } else {
            (count, ending) = (longest, .length)
        }
        try goOn(behind: request.generatedTokenIDs)
    }

    /// Takes over the tokens that an earlier process sent: those that this one would have sent.
    private mutating func goOn(behind ids: [UInt32]) throws(EngineFault) {
        for id in ids {
            guard index < count, id == nextID else {
                throw EngineFault(
                    .invalidArgument,
                    "generated_token_ids[\(index)] is \(id), and echo's completion has "
                        + (index < count ? "\(nextID) there" : "\(count) tokens") + "; begin anew")
            }
            index += 1
        }
    }

    /// Emits the tokens that are due by `now`.
    mutating func advance(_ sequence: Int, now: UInt64, in step: inout Step) -> Progress {
        guard now >= due else { return .goesOn(nanoseconds: due) }
        for position in 0..<options.burst {
            // A scripted event happens at the beginning of a step, when the tokens before it have been written.
            if position > 0, options.isScripted(at: index) { break }
            if let progress = misbehave(sequence, in: &step) { return progress }
            if index == count { return finish(sequence, ending, in: &step) }
            guard step.credit(of: sequence) > 0 else { break }
            let id = nextID
            if !stopTokenIDs.isEmpty, index >= minTokens, stopTokenIDs.contains(id) {
                return finish(sequence, .stopToken(id), in: &step)
            }
            withText(of: id) { text in
                let logprobs = logprobs.map { EchoLogprobs.logprobs(of: id, text: text, alternatives: $0) }
                if index < reasoningTokens {
                    step.emit(
                        sequence, token: id, text: .init(start: nil, count: 0), reasoning: text, logprobs: logprobs)
                } else if !callParts.isEmpty {
                    let place = Int(index - reasoningTokens)
                    step.emit(
                        sequence, token: id, text: .init(start: nil, count: 0), logprobs: logprobs,
                        toolCalls: callParts.indices.contains(place) ? [callParts[place]] : [])
                } else {
                    step.emit(sequence, token: id, text: text, logprobs: logprobs)
                }
            }
            if drafts { step.noteDraft(sequence, tokens: 1, accepted: position > 0 ? 1 : 0) }
            index += 1
        }
        // The last token and the ending are sent together, and an ending needs no credit.
        if index == count { return finish(sequence, ending, in: &step) }
        if step.credit(of: sequence) == 0 { flood(sequence, in: &step) }
        schedule(now: now)
        return .goesOn(nanoseconds: due)
    }

    /// Carries out a scripted event that is due before the next token.
    private func misbehave(_ sequence: Int, in step: inout Step) -> Progress? {
        if let code = options.fault, options.faultAt == index {
            step.fail(sequence, EngineFault(code, "the option fault asked for this"), prompt: prompt)
            return .over
        }
        // What ended the earlier process has happened.
        if sent > 0, index == sent { return nil }
        if options.crashAt == index { abort() }
        if options.hangAt == index { while true { poll(nil, 0, -1) } }
        if options.silentAt == index { return .silent }
        if options.malformedAt == index { step.sendRaw(options.malformation.bytes) }
        return nil
    }

    private func finish(_ sequence: Int, _ ending: Ending, in step: inout Step) -> Progress {
        if options.splitsScalars, !isHeld, index > 0 {
            Self.splitScalar[2...].withUnsafeBytes { step.finish(sequence, ending, prompt: prompt, text: $0) }
        } else {
            step.finish(sequence, ending, prompt: prompt)
        }
        return .over
    }

    private mutating func flood(_ sequence: Int, in step: inout Step) {
        for _ in 0..<options.flood {
            let id = nextID
            withText(of: id) { step.emitBeyondCredit(sequence, token: id, text: $0) }
            index += 1
        }
    }

    private mutating func schedule(now: UInt64) {
        guard let period = options.periodNanoseconds else {
            due = now
            return
        }
        if options.spreads {
            // Time lost in a stall is not caught up.
            due = due + 2 * period > now ? due + period : now + period
        } else {
            due = (now / period + 1) * period
        }
    }
}

// Token ids and texts.
extension EchoSequence {
    private var nextID: UInt32 {
        options.repeatsPrompt || isHeld ? UInt32(truncatingIfNeeded: index) : bias.token(for: tokens.id(at: index))
    }

    private func withText(of id: UInt32, _ body: (UnsafeRawBufferPointer) -> Void) {
        if isHeld {
            // The index is beyond the text only when flooding.
            (index < UInt64(words.count) ? words[Int(index)] : []).withUnsafeBytes(body)
            return
        }
        if options.stamps {
            let stamp = EchoTokens.packedStamp(nanoseconds: Backend.nowNanoseconds)
            withUnsafeBytes(of: stamp) { body(UnsafeRawBufferPointer(rebasing: $0[..<5])) }
            return
        }
        if !options.repeatsPrompt, !options.splitsScalars {
            let packed = EchoTokens.packedText(of: id)
            withUnsafeBytes(of: packed.bytes) { body(UnsafeRawBufferPointer(rebasing: $0[..<packed.count])) }
            return
        }
        var bytes = options.splitsScalars && index > 0 ? Array(Self.splitScalar[2...]) : []
        if options.repeatsPrompt {
            bytes.append(0x20)
            // The index is beyond the prompt only when flooding.
            if index < UInt64(words.count) { bytes += words[Int(index)].prefix(1_000) }
        } else {
            bytes += Array(EchoTokens.text(of: id).utf8)
        }
        if options.splitsScalars { bytes += Self.splitScalar[..<2] }
        bytes.withUnsafeBytes(body)
    }
}

extension EchoPrompt {
    init(_ prompt: GenerateRequest.Prompt) {
        switch prompt {
        case .text(let text): self.init(text: text)
        case .messages(let messages):
            self.init(messages: messages.map { (UInt8(truncatingIfNeeded: $0.role.rawValue), $0.content) })
        case .tokenIDs(let ids): self.init(tokenIDs: ids)
        }
    }

    /// The number of words that a prompt made of this request has.
    static func wordCount(of prompt: GenerateRequest.Prompt) -> Int {
        switch prompt {
        case .text(let text): wordCount(of: text)
        case .messages(let messages): messages.reduce(0) { $0 + wordCount(of: $1.content) }
        case .tokenIDs(let ids): ids.count
        }
    }
}

extension EchoOptions.Malformation {
    /// The bytes on the socket, length included.
    var bytes: [UInt8] {
        switch self {
        case .envelope: [0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff]
        case .length: [0xff, 0xff, 0xff, 0xff]
        case .zero: [0, 0, 0, 0]
        // A BackendEnvelope with an empty Hello.
        case .hello: [0, 0, 0, 2, 0x0a, 0x00]
        }
    }
}
