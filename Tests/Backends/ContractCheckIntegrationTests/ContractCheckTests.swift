import BackendDriver
import BackendIPC
import BackendProgram
import ContractCheck
import Foundation
import TestPlaces
import Testing

@Suite("The check of a backend against its contract")
struct ContractCheckTests {
    /// Every clause, and the way of `unruly` that breaks it.
    private static let ways: [ContractClause: String] = [
        .frameLength: "empty", .oneBody: "two-bodies", .wireFormat: "varint", .unknownFields: "pad-envelope",
        .messageLength: "long-hello",
        .helloFirst: "tokens-first", .helloInTime: "mute", .revisions: "backward-revisions", .helloFields: "bad-name",
        .capabilities: "twin-capabilities", .commonRevision: "later-revision", .laterFields: "trips-over-fields",
        .messageInTurn: "loaded-twice", .loadProgress: "mad-progress", .loadedBounds: "many-sequences",
        .loadedOffer: "wide-vectors", .inspected: "empty-inspection", .loadedInTime: "endless-load",
        .runningSequence: "finish-unknown", .noEmptyRun: "empty-batches", .credit: "beyond-credit",
        .maxTokens: "beyond-max-tokens", .context: "long-prompt", .textLength: "text-bomb", .reasoning: "reasons",
        .logprobs: "unasked-logprobs", .toolCalls: "unasked-calls", .oneFinish: "never-finishes",
        .cacheScope: "shares-caches", .continuation: "begins-anew",
        .finishReason: "no-reason", .cancelled: "cancelled-unasked", .length: "early-length",
        .stopToken: "foreign-stop", .stopString: "foreign-string", .counts: "more-cached", .fault: "long-fault",
        .cancelInTime: "deaf-to-cancel",
        .openQuery: "count-unasked", .tokenizedBounds: "no-count", .embeddedShape: "short-vectors",
        .pongOrder: "wrong-pong", .pongCounts: "steps-back", .pongInTime: "deaf", .progress: "standing-steps",
        .shutdownInTime: "behave", .endOfStream: "outlives-socket",
    ]

    private static func candidate(_ path: String) -> Candidate {
        var program = BackendProgram(path: path)
        program.isQuiet = true
        // A file, so that there is something to inspect.
        program.weights = Repository.policies + "/strict.json"
        let load = Load(model: "m", weightsDescriptor: BackendProcess.weightsDescriptor, maxSequences: 16)
        return Candidate(load: load) { [program] patience in
            try BackendDriver(program, patienceMilliseconds: patience)
        }
    }

    @Test("a backend that breaks a clause is told so, and which", arguments: ContractClause.allCases)
    func broken(clause: ContractClause) throws {
        let way = try #require(Self.ways[clause], "no way of unruly breaks it")
        let folder = TemporaryFolder()
        let path = folder.file("unruly-\(way)")
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: Built.path("unruly"))
        var candidate = Self.candidate(path)
        // Where the check has to wait in vain.
        switch clause {
        case .helloInTime: candidate.helloMilliseconds = 300
        case .loadedInTime: candidate.loadMilliseconds = 300
        case .pongInTime: candidate.patienceMilliseconds = 300
        case .oneFinish: candidate.patienceMilliseconds = 1_000
        case .shutdownInTime, .endOfStream: candidate.exitMilliseconds = 300
        default: break
        }
        let checks = ContractCheck.all.filter { check in
            check.isGate || (clause == .oneFinish ? check.name == "longest completion" : check.clauses.contains(clause))
        }
        let examination = try Examination(candidate, checks: checks)
        guard case .broken = examination[clause] else {
            Issue.record("\(way): \(examination[clause]), and broken: \(examination.brokenClauses.map(\.number))")
            return
        }
    }

    @Test("echo keeps every clause that can be tried on it")
    func echo() throws {
        let examination = try Examination(Self.candidate(Built.path("echo")))
        for clause in examination.brokenClauses { Issue.record("\(clause.number): \(examination[clause])") }
        let untried = ContractClause.allCases.filter {
            if case .untried = examination[$0] { true } else { false }
        }
        #expect(untried == [.inspected, .reasoning])
        // A completion goes on in two more, one for each temperature.
        #expect(examination.processes == ContractCheck.all.count + 2 && examination.hello?.name == "echo")
    }
}
