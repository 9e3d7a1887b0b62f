import SandboxPolicy
import Testing

@testable import BackendSupervisor

@Suite("ValueWords")
struct ValueWordsTests {
    private struct Older {
        var name = "a"
        var count = 0
    }

    private struct Newer {
        var name = "a"
        var count = 0
        var isFast = false
        var note = ""
        var size: Int?
        var options: [String: String] = [:]
    }

    @Test("what says nothing is left out, and what says something is not")
    func leftOut() {
        let words = ValueWords.of(Older())
        #expect(ValueWords.of(Newer()) == words)
        let all: [Newer] = [
            Newer(name: "b"), Newer(count: 1), Newer(isFast: true), Newer(note: "x"), Newer(size: 0),
            Newer(options: ["": ""]),
        ]
        #expect(Set(all.map { ValueWords.of($0) } + [words]).count == all.count + 1)
    }

    @Test("the order of a dictionary or a set changes nothing, that of a list does")
    func order() {
        let names = (0..<50).map { "name\($0)" }
        let one = Dictionary(uniqueKeysWithValues: names.map { ($0, "x") })
        let other = Dictionary(uniqueKeysWithValues: names.reversed().map { ($0, "x") })
        #expect(ValueWords.of(one) == ValueWords.of(other))
        #expect(ValueWords.of(Set(names)) == ValueWords.of(Set(names.reversed())))
        #expect(ValueWords.of(names) != ValueWords.of(Array(names.reversed())))
        #expect(ValueWords.of(["a", "b"]) != ValueWords.of(["a\", \"b"]))
        #expect(ValueWords.of(["a": "b"]) != ValueWords.of(["b": "a"]))
    }

    @Test("every part of a manifest counts")
    func manifests() {
        let plain = BackendManifest(executableName: "echo")
        var all = [plain]
        func add(_ change: (inout BackendManifest) -> Void) {
            var manifest = plain
            change(&manifest)
            all.append(manifest)
        }
        add { $0.policy = "lax" }
        add { $0.models[0].id = "m" }
        add { $0.models[0].options = ["a": "b"] }
        add { $0.models[0].sampling.topK = 1 }
        add { $0.models[0].residence = .always }
        add { $0.models[0].residence = .onDemand(keepAliveSeconds: nil) }
        add { $0.models[0].residence = .onDemand(keepAliveSeconds: 0) }
        add { $0.models[0].draftLookup = true }
        add { $0.models[0].digest = [1, 2] }
        add { $0.memoryMebibytes = 0 }
        add { $0.threads = 1 }
        add { $0.loadSeconds = 1 }
        add { $0.devices = ["a"] }
        add { $0.arguments = ["a"] }
        add { $0.arguments = [""] }
        #expect(Set(all.map { ValueWords.of($0) }).count == all.count)
    }
}
