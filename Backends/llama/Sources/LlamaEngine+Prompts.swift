import BackendKit
import CLlama
import LlamaPlanning

// Prompts.
extension LlamaEngine {
    /// What a prompt that is to be continued becomes.
    func form(wantsText: Bool = false) -> TextForm { TextForm(wantsText: wantsText, tokensMax: contextTokens) }

    /// The tokens of a prompt; nil while a long one is being tokenized: ask again then. `form` nil: to be continued.
    mutating func tokens(
        of request: GenerateRequest, for kind: TextOwner.Kind, _ form: TextForm? = nil
    ) throws(EngineFault) -> LlamaModel.Tokens? {
        let model = try loadedModel()
        let form = form ?? self.form()
        if pending[kind] != nil {
            advanceTexts(model)
            guard let tokens = pending[kind]?.tokens else { return nil }
            pending[kind] = nil
            return try tokens.get()
        }
        let (bytes, longestRun) = try measure(request, form)
        let isShort = bytes + request.prompt.messageCount * Limits.messageBytes <= Limits.textAtOnceBytesMax
        if isShort, request.tools == nil {
            return try model.tokens(request, longestRun: longestRun, form, wantsAnswer: kind.isSequence)
        }
        arrivals &+= 1
        let owner = TextOwner(kind: kind, arrival: arrivals)
        guard texts.append(owner, bytes: bytes) else {
            throw EngineFault(
                .overloaded, "\(TextQueue<TextOwner>.bytesMax >> 20) MiB of prompts wait already; try again later")
        }
        pending[kind] = PendingText(
            owner: owner, request: request, form: form, longestRun: longestRun)
        advanceTexts(model)
        return nil
    }

    /// Takes the text that was tokenized, and begins to tokenize the next one.
    private mutating func advanceTexts(_ model: LlamaModel) {
        if let (owner, work) = tokenizing {
            guard let tokens = work.finished() else { return }
            tokenizing = nil
            if pending[owner.kind]?.owner == owner { pending[owner.kind]?.tokens = tokens }
        }
        while tokenizing == nil, let owner = texts.next() {
            guard let text = pending[owner.kind], text.owner == owner else { continue }
            do throws(EngineFault) {
                let stackBytes = model.preTokenizer.stackBytes(longestRun: text.longestRun)
                let work = try TextTokenizing(stackBytes: stackBytes) {
                    Result { () throws(EngineFault) in
                        try model.tokens(
                            text.request, longestRun: text.longestRun, text.form, wantsAnswer: owner.kind.isSequence)
                    }
                }
                tokenizing = (owner, work)
            } catch {
                pending[owner.kind]?.tokens = .failure(error)
            }
        }
    }

    /// Begins the sequences whose prompts were tokenized. Returns true while others wait.
    mutating func takeTexts(_ model: LlamaModel, _ step: inout Step) -> Bool {
        guard !pending.isEmpty else { return false }
        advanceTexts(model)
        var isWaiting = false
        for number in step.sequences {
            guard let text = pending[.sequence(number)] else { continue }
            guard let tokens = text.tokens else {
                isWaiting = true
                continue
            }
            pending[.sequence(number)] = nil
            do throws(EngineFault) {
                try begin(number, text.request, try tokens.get())
            } catch {
                step.fail(number, error)
            }
        }
        return isWaiting
    }

    /// Whether the text that is being tokenized has made progress since the last call.
    mutating func textsProgressed() -> Bool {
        guard let now = tokenizing?.work.processorNanoseconds, now != tokenizingNanoseconds else { return false }
        tokenizingNanoseconds = now
        return true
    }

    /// Drops a text whose tokens are not wanted any more.
    mutating func drop(_ kind: TextOwner.Kind) {
        guard let text = pending.removeValue(forKey: kind) else { return }
        texts.remove(text.owner)
    }

    /// The length of a prompt's text, and of its longest possible run; throws when it cannot fit, or its runs are too
    /// long.
    private func measure(
        _ request: GenerateRequest, _ form: TextForm
    ) throws(EngineFault) -> (bytes: Int, longestRun: Int) {
        let model = try loadedModel()
        let texts = request.texts
        let bytes = texts.reduce(0) { $0 + $1.utf8.count }
        if case .messages = request.prompt {
            guard model.facts.has_chat_template else {
                throw EngineFault(
                    .unsupported,
                    templateWarning ?? "the model \"\(modelID)\" has no chat template; send text")
            }
            if texts.contains(where: { $0.utf8.contains(0) }) {
                throw EngineFault(.invalidArgument, "messages or tools hold a NUL character; leave it out")
            }
        }
        // Tokenizing megabytes of text takes seconds, so a text that cannot fit is not tried. An empty message has
        // tokens, too: those of its template.
        let shown = request.shownTexts
        let shownBytes = shown.reduce(0) { $0 + $1.utf8.count }
        let fewest = max(shown.count, shownBytes / max(1, Int(model.facts.longest_piece_bytes)))
        // A completion needs room for a token, vectors need none.
        let most = model.facts.pooling == HEARTH_LLAMA_NO_POOLING ? form.tokensMax - 1 : form.tokensMax
        if fewest > most { throw overflow("at least \(fewest)", most: most) }
        let runs = texts.map { model.preTokenizer.longestRun(TextRuns([$0])) }
        let longest = runs.max() ?? 0
        guard longest <= model.preTokenizer.runCharactersMax else {
            throw EngineFault(
                .invalidArgument,
                """
                the prompt has \(longest) characters in a row without a blank, or blanks without anything else; \
                "\(modelID)" takes at most \(model.preTokenizer.runCharactersMax): break them up
                """)
        }
        guard request.prompt.messageCount > 0 else { return (bytes, longest) }
        // A template may join messages without a blank between, and has runs of its own.
        let joined = min(runs.reduce(0, +), model.preTokenizer.runCharactersMax)
        return (bytes, joined + Limits.templateRunCharacters)
    }

    /// A warning for the owner about a chat template that cannot be used; nil when there is none.
    var templateWarning: String? {
        guard let flaw = model?.templateFlaw, !flaw.isEmpty else { return nil }
        let place = hasOtherTemplate ? "\"chatTemplate\" in its settings" : "tokenizer.chat_template in its file"
        return """
            the chat template of "\(modelID)" (\(place)) \(flaw); send text, or name one that works as "chatTemplate" in the \
            model's settings
            """
    }
}

extension LlamaModel {
    /// The tokens of a prompt; may be called by one other thread. `wantsAnswer`: also what tells the answer apart.
    func tokens(
        _ request: GenerateRequest, longestRun: Int, _ form: LlamaEngine.TextForm, wantsAnswer: Bool
    ) throws(EngineFault) -> Tokens {
        switch request.prompt {
        case .text(let text): return try tokenize(text, addsSpecial: form.addsSpecial, atMost: form.tokensMax)
        case .messages(let messages):
            let chat = try ChatPrompt(messages, request.tools)
            if form.wantsText { return .text(try render(chat)) }
            let tokens = try tokenize(chat, runCharactersMax: longestRun, atMost: form.tokensMax)
            // What an assistant's message has begun is continued as it is, and what is held to a form is all text.
            guard wantsAnswer, request.prompt.continued == nil, request.grammar == nil, case .all(let ids, _) = tokens
            else { return tokens }
            return .all(ids, answer: try newAnswer(chat))
        case .tokenIDs(let ids):
            if let id = ids.first(where: { $0 >= facts.vocabulary }) {
                throw EngineFault(
                    .invalidArgument, "\(id) is no token of this model; its ids are below \(facts.vocabulary)")
            }
            return ids.count <= form.tokensMax ? .all(ids.map(Int32.init)) : .tooMany(ids.count)
        }
    }
}

extension GenerateRequest.Prompt {
    /// How many messages the template must render.
    var messageCount: Int {
        if case .messages(let messages) = self { messages.count } else { 0 }
    }
}
