import GRPC
import InferenceMessages
import LaunchPlan
import LimitDeclaration
import SandboxPolicy
import SeccompFilter
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
