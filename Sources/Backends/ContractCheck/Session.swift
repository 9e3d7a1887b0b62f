import BackendDriver
import BackendIPC
import InferenceMessages
import LinuxSystem
import SwiftProtobuf

/// One process of a candidate, for one check. Its methods throw `Broken`, `Untried`, `ContractViolation` and
/// `BackendDriver.Failure`; the last counts against the clause that is expected to be kept at the time.
final class Session {
    let candidate: Candidate
    let driver: BackendDriver
    private(set) var expected = ContractClause.helloInTime
    /// What the backend is to do at the time.
    private(set) var doing = "at its start"
    private(set) var kept: [ContractClause: String] = [:]
    private(set) var untried: [ContractClause: String] = [:]
    /// The processes that it was continued in, and the messages that they sent.
    private(set) var furtherProcesses = 0
    private(set) var furtherMessages = 0

    init(_ candidate: Candidate, _ driver: BackendDriver) {
        self.candidate = candidate
        self.driver = driver
    }

    var hello: Hello? { driver.conversation.hello }
    var revision: UInt32 { driver.conversation.revision ?? 0 }
    var sequences: UInt32 { driver.conversation.loaded?.maxSequences ?? 0 }

    /// How its process ended, and what it wrote last, to follow a sentence; empty: it runs.
    var remains: String {
        let patience: UInt64 = driver.isClosed ? 1_000 : 0
        guard let status = try? driver.process?.awaitEnd(milliseconds: patience) else { return "" }
        let output = driver.process?.lastOutput.suffix(3).joined(separator: " / ") ?? ""
        return "; its process \(status)" + (output.isEmpty ? "" : ", and wrote last: \(output)")
    }

    /// From now on, silence and the end of the process break this clause.
    func expect(_ clause: ContractClause, _ doing: String) {
        expected = clause
        self.doing = doing
    }

    func keep(_ clauses: ContractClause..., seen: String) {
        for clause in clauses { kept[clause] = seen }
    }

    func leaveOut(_ clauses: ContractClause..., because why: String) {
        for clause in clauses { untried[clause] = why }
    }
}

// Another process.
extension Session {
    /// Has another process of the candidate, which has loaded the same model, do something. What it is silent about counts
    /// against the clause that is expected here.
    func inAnotherProcess(_ body: (Session) throws -> Void) throws {
        expect(.continuation, "going on in another process")
        let other = Session(candidate, try candidate.start(candidate.patienceMilliseconds))
        defer {
            furtherProcesses += 1
            furtherMessages += other.driver.received.count
            other.driver.process?.kill()
        }
        do {
            try other.loadForCompletions()
            try body(other)
        } catch let failure as BackendDriver.Failure {
            throw Broken(expected, "\(doing): \(other.doing): \(failure)\(other.remains)")
        }
    }
}

// The way to a loaded model.
extension Session {
    @discardableResult
    func greet() throws -> Hello {
        expect(.helloInTime, "awaiting Hello")
        try driver.listen(forMilliseconds: candidate.helloMilliseconds) {
            $0.conversation.phase == .awaitingWelcome
        }
        let hello = hello ?? Hello(name: "", version: "")
        let names = hello.capabilities.joined(separator: ", ")
        keep(.helloFirst, .helloInTime, .helloFields, seen: "\(hello.name) \(hello.version) says Hello")
        keep(.revisions, seen: "\(hello.minRevision) to \(hello.maxRevision)")
        keep(.capabilities, seen: names.isEmpty ? "none" : names)
        return hello
    }

    /// The highest revision that both ends speak.
    func commonRevision() throws -> UInt32 {
        let hello = try greet()
        guard let revision = BackendConversation.commonRevision(hello) else {
            let own = ContractLimits.revisions
            throw Broken(
                .commonRevision,
                "Hello names the revisions \(hello.minRevision) to \(hello.maxRevision), and the agent speaks"
                    + " \(own.lowerBound) to \(own.upperBound)")
        }
        return revision
    }

    /// Loads the candidate's model, with its load adjusted.
    func load(revision: UInt32? = nil, _ adjust: (inout Load) -> Void = { _ in }) throws {
        let revision = try revision ?? commonRevision()
        try driver.say(.welcome(.inRevision(revision)))
        keep(.commonRevision, seen: "revision \(revision) is in force")
        var load = candidate.load
        adjust(&load)
        try driver.say(.load(load))
        try awaitLoaded()
    }

    func awaitLoaded() throws {
        expect(.loadedInTime, "awaiting Loaded")
        let began = Monotonic.now()
        func milliseconds() -> UInt64 { Monotonic.now().since(began) / 1_000_000 }
        try driver.listen(forMilliseconds: candidate.loadMilliseconds) {
            $0.conversation.phase == .ready || milliseconds() > candidate.loadMilliseconds
        }
        let time = milliseconds()
        guard let loaded = driver.conversation.loaded else {
            throw Broken(.loadedInTime, "it loads for longer than \(candidate.loadMilliseconds) ms")
        }
        let reports = driver.received.count { $0 == "LoadProgress" }
        guard UInt64(reports) <= 10 + time / 100 else {
            throw Broken(.loadProgress, "LoadProgress came \(reports) times in \(time) ms; at most ten times a second")
        }
        if reports > 0 {
            keep(.loadProgress, seen: "\(reports) while it loaded")
        } else {
            leaveOut(.loadProgress, because: "it sent none")
        }
        keep(.loadedInTime, seen: "Loaded came after \(time) ms")
        keep(
            .loadedBounds,
            seen: "\(loaded.maxContextTokens) tokens and \(loaded.maxSequences) sequences, as Load allows")
        keep(.loadedOffer, .messageInTurn, seen: "as it must be")
    }

    /// Loads a model that makes completions.
    func loadForCompletions(revision: UInt32? = nil, _ adjust: (inout Load) -> Void = { _ in }) throws {
        try load(revision: revision, adjust)
        if driver.conversation.loaded?.lacking.contains(Hello.generate) == true {
            throw Untried("its model makes no completions")
        }
    }
}

// Requests.
extension Session {
    /// A request that goes the same way each time, as far as the backend keeps to seed and temperature.
    func request(_ adjust: (inout Hearth_V1_GenerateRequest) -> Void = { _ in }) throws -> [UInt8] {
        try Hearth_V1_GenerateRequest.with {
            $0.requestID = "check"
            $0.text = candidate.prompt
            $0.sampling.temperature = 0
            $0.sampling.seed = 1
            adjust(&$0)
        }.serializedBytes()
    }

    /// One that ends after this many tokens, and not before if the backend can go on.
    func request(tokens: UInt32, _ adjust: (inout Hearth_V1_GenerateRequest) -> Void = { _ in }) throws -> [UInt8] {
        try request {
            $0.stopping.maxTokens = tokens
            $0.stopping.ignoreEndOfTurn = true
            adjust(&$0)
        }
    }

    /// Waits for the finish of a sequence, whatever it is.
    func end(_ sequence: UInt32) throws -> Completion {
        expect(.oneFinish, "awaiting the finish of the sequence \(sequence)")
        let completion = try driver.finish(sequence)
        keep(.oneFinish, seen: "every Start was answered")
        keep(.runningSequence, seen: "every run was of a sequence that ran")
        keep(.finishReason, .counts, seen: "in every finish")
        if completion.reason == .cancelled { keep(.cancelled, seen: "after Cancel alone") }
        if completion.fault != nil { keep(.fault, seen: completion.fault?.message ?? "") }
        return completion
    }

    /// The same, of a request that has to be served.
    func answer(_ sequence: UInt32) throws -> Completion {
        let completion = try end(sequence)
        try demandServed(completion)
        return completion
    }

    private func demandServed(_ completion: Completion) throws {
        if let fault = completion.fault { throw Untried("it refuses the request: \(fault.message)") }
    }

    func complete(_ request: [UInt8], scope: [UInt8] = [], behind tokens: [UInt32] = []) throws -> Completion {
        expect(.oneFinish, "beginning a sequence")
        try driver.start(0, request, credit: 1_000, scope: scope, behind: tokens)
        return try answer(0)
    }

    /// A completion, and what had come of it after eight tokens.
    func split(_ request: [UInt8]) throws -> SplitCompletion {
        expect(.oneFinish, "beginning a sequence")
        try driver.start(0, request, credit: 8)
        guard try awaitTokens(8, of: 0), let beginning = driver.completions[0], beginning.finish == nil else {
            throw Untried("its completion ends before 9 tokens")
        }
        try grant(1_000, to: 0)
        return SplitCompletion(beginning: beginning, whole: try answer(0))
    }

    /// Waits until so many tokens of a sequence have come, or it has finished. Whether they came.
    func awaitTokens(_ count: Int, of sequence: UInt32) throws -> Bool {
        expect(.progress, "awaiting \(count) tokens of the sequence \(sequence), which has credit for them")
        func tokens() -> Int { driver.completions[sequence]?.tokens.count ?? 0 }
        try driver.listen { $0.completions[sequence]?.finish != nil || tokens() >= count }
        if let completion = driver.completions[sequence], completion.finish != nil { try demandServed(completion) }
        return tokens() >= count
    }

    func grant(_ tokens: UInt32, to sequence: UInt32) throws {
        guard driver.conversation.isRunning(sequence) else { return }
        try driver.say(.credit(Credit(sequence: sequence, tokens: tokens)))
    }

    func cancel(_ sequence: UInt32) throws {
        guard driver.conversation.isRunning(sequence) else { return }
        expect(.oneFinish, "awaiting the finish of a sequence that was cancelled")
        try driver.say(.cancel(Cancel(sequence: sequence)))
    }

    @discardableResult
    func ping() throws -> Pong {
        expect(.pongInTime, "awaiting Pong")
        let pong = try driver.ping()
        keep(.pongOrder, .pongCounts, .pongInTime, seen: "\(driver.pongs.count) answered in their order")
        return pong
    }
}
