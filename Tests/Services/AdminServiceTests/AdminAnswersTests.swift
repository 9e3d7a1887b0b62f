import ConsumerAccess
import Foundation
import GRPC
import InferenceMessages
import LaunchPlan
import LimitDeclaration
import SandboxPolicy
import SeccompFilter
import SwiftProtobuf
import Testing

@testable import AdminService
@testable import BackendSupervisor

struct AdminAnswersTests {
    @Test func `the host's tier is the weakest that holds a running backend`() {
        #expect(AdminAnswers.weakest(of: []).isEmpty)
        #expect(AdminAnswers.weakest(of: ["full", "full"]) == "full")
        #expect(AdminAnswers.weakest(of: ["full", "reduced", "full"]) == "reduced")
    }

    @Test func `who asks for a backend or a model that is not there hears what is`() {
        let backend = AdminAnswers.unknown(backend: "ecko", known: ["llama", "echo", "echo"])
        #expect(backend.code == .notFound)
        #expect(backend.message.contains("'ecko'"))
        #expect(backend.message.hasSuffix("echo, llama"), "each once, in order")
        let model = AdminAnswers.unknown(model: "m", of: "b", known: [("tiny", "echo"), ("large", "llama")])
        #expect(model.code == .notFound)
        #expect(model.message.hasSuffix("'tiny' of echo, 'large' of llama"))
        #expect(AdminAnswers.unknown(backend: "b", known: []).message.hasSuffix("none"))
        #expect(AdminAnswers.unknown(model: "m", of: "b", known: []).message.hasSuffix("none"))
    }

    @Test func `keys come in pages, without their secrets`() throws {
        var book = KeyBook()
        let now = Date(timeIntervalSince1970: 1_000)
        for name in ["a", "b", "c"] {
            try book.create(
                name, isOwner: name == "b", secret: .random(),
                limits: name == "a" ? KeyLimits(streams: 2) : KeyLimits(),
                now: now, lifetimeSeconds: name == "c" ? 60 : nil)
        }
        func page(_ size: UInt32, after token: String = "") throws -> Hearth_Admin_V1_ListKeysResponse {
            try AdminAnswers.page(
                of: book.keys,
                .with {
                    $0.pageSize = size
                    $0.pageToken = token
                }, now: now.addingTimeInterval(60))
        }
        let first = try page(2)
        #expect(first.keys.map(\.name) == ["a", "b"])
        #expect(first.keys.map(\.isOwner) == [false, true])
        #expect(
            first.keys[0].streams == 2 && !first.keys[0].hasTokensPerMinute && !first.keys[0].hasExpiresMilliseconds)
        #expect(first.nextPageToken == "b" && first.count == 3)
        let last = try page(0, after: "b")
        #expect(last.keys.map(\.name) == ["c"])
        #expect(last.keys[0].createdMilliseconds == 1_000_000 && last.keys[0].expiresMilliseconds == 1_060_000)
        #expect(last.keys[0].isExpired && last.nextPageToken.isEmpty)
        #expect(try page(3).nextPageToken.isEmpty)
        let gone = #expect(throws: Status.self) { try page(1, after: "d") }
        #expect(gone?.code == .invalidArgument)
    }

    @Test func `who comes by the bridge can neither end the agent nor have it serve a file or make way`() {
        for method in ["Stop", "HandOver", "Upgrade", "Lend"] { #expect(!BridgedAdmin.methods.contains(method)) }
    }

    @Test func `a limit that is not counted was not met zero times`() {
        let limit = NamedLimit("fieldsMax", 7, "Fields.")
        let uncounted = AdminAnswers.described(limit, timesMet: nil)
        #expect(uncounted.name == "fieldsMax")
        #expect(uncounted.value == 7)
        #expect(!uncounted.hasTimesMet)
        let unmet = AdminAnswers.described(limit, timesMet: 0)
        #expect(unmet.hasTimesMet)
        #expect(unmet.timesMet == 0)
    }

    @Test func `a log goes out with its number, its lines and what is not yet one`() {
        let output = BackendOutput(
            log: 9, lines: [BackendOutput.Line(number: 4, pid: 3, milliseconds: 5, text: "a line")], lastNumber: 4,
            unfinished: "half")
        let answer = AdminAnswers.described(output)
        #expect(answer.log == 9)
        #expect(answer.lastNumber == 4)
        #expect(answer.unfinished == "half")
        #expect(answer.lines.map(\.number) == [4])
        #expect(answer.lines.map(\.pid) == [3])
        #expect(answer.lines.map(\.timeMilliseconds) == [5])
        #expect(answer.lines.map(\.text) == ["a line"])
    }

    @Test func `of a denied call its meaning and who allows it are told, of the sum of the others neither`() throws {
        var denied = DeniedCalls()
        let unlinkat = try #require(SyscallNames.number(of: "unlinkat"))
        denied.note(SupervisedCall(SystemCall(unlinkat, [1, 2, 3, 4, 5, 6]), errno: 1, count: 12))
        denied.note(SupervisedCall(SystemCall(SupervisedCall.otherKinds, [0, 0, 0, 0, 0, 0]), errno: 1, count: 5))
        let answers = denied.entries.map { AdminAnswers.described($0, model: "m", allowedBy: ["lenient"]) }
        #expect(answers.map(\.model) == ["m", "m"])
        #expect(answers.map(\.count) == [12, 5])
        #expect(answers.map(\.errno) == [1, 1])
        #expect(answers[0].name == "unlinkat")
        #expect(answers[0].arguments == [1, 2, 3, 4, 5, 6])
        #expect(!answers[0].meaning.isEmpty)
        #expect(answers[0].allowedBy == ["lenient"])
        #expect(answers[1].meaning.isEmpty)
        #expect(answers[1].allowedBy.isEmpty)
    }
}
