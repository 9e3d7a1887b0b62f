import BackendDriver
import BackendIPC
import BackendProgram
import EchoTokens
import Glibc
import LinuxSystem
import Testing

@Suite("echo follows its script")
struct EchoScriptTests {
    @Test("a rate and a delay change when tokens come, not which")
    func rate() throws {
        let echo = try BackendDriver.readyEcho()
        let options = ["tokens_per_second": "500", "delay_ms": "20"]
        try echo.start(0, try request(maxTokens: 20, options: options))
        try echo.start(1, try request(maxTokens: 20, options: options.merging(["spread": "1"]) { $1 }))
        let heard = try echo.finish(0)
        #expect(heard.tokens == expectedIDs(0..<20))
        #expect(heard.runs.count >= 20)
        #expect(try echo.finish(1).tokens == expectedIDs(0..<20))
    }

    @Test("a burst sends many tokens in one run")
    func burst() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 1_000, options: ["burst": "250"]))
        let heard = try echo.finish(0)
        #expect(heard.tokens == expectedIDs(0..<1_000))
        #expect(heard.runs.count <= 5)
    }

    @Test("a burst too long for one frame is cut in several")
    func longBurst() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 400_000, options: ["burst": "65536"]))
        #expect(try echo.finish(0).tokens == expectedIDs(0..<400_000))
    }

    @Test("it crashes at the token asked for, with the tokens before it sent")
    func crash() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(options: ["crash_at": "5", "burst": "3"]))
        try echo.listen { $0.conversation.tokens(of: 0) == 5 }
        #expect(throws: BackendDriver.Failure.closed) { try echo.listen { _ in false } }
        #expect(try echo.awaitEnd() == .signalled(SIGABRT))
    }

    @Test("it hangs at the token asked for and answers no ping")
    func hang() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(options: ["hang_at": "5"]))
        try echo.listen { $0.conversation.tokens(of: 0) == 5 }
        try echo.say(.ping(Ping(nonce: 1)))
        #expect(try echo.saysNothing(forMilliseconds: 200))
    }

    @Test("it falls silent at the token asked for, but answers pings without progress")
    func silent() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(options: ["silent_at": "5"]))
        try echo.listen { $0.conversation.tokens(of: 0) == 5 }
        let steps = try echo.ping().steps
        #expect(try echo.ping().steps == steps)
        try echo.say(.cancel(Cancel(sequence: 0)))
        #expect(try echo.finish(0).finish?.outcome == .reason(.cancelled))
    }

    @Test("a malformed frame comes after the tokens before it", arguments: ["envelope", "length", "zero", "hello"])
    func malformed(kind: String) throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(options: ["malformed_at": "5", "malformed": kind]))
        #expect(throws: ContractViolation.self) { try echo.listen { $0.completions[0]?.finish != nil } }
        #expect(echo.conversation.tokens(of: 0) >= 5)
    }

    @Test("a flood goes beyond the credit and is noticed")
    func flood() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 1_000, options: ["flood": "3"]), credit: 5)
        let error = #expect(throws: ContractViolation.self) { try echo.listen { $0.completions[0]?.finish != nil } }
        #expect(error?.sentence.contains("with a credit of") == true)
    }

    @Test("split scalars are whole again when the text is put together")
    func splitScalars() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 5, options: ["split_scalars": "1"]))
        let heard = try echo.finish(0)
        let words = (0..<5 as Range<UInt64>).map { expectedText($0..<$0 + 1) + "🔥" }
        #expect(String(validating: heard.bytes, as: UTF8.self) == words.joined())
        #expect(heard.tokens == expectedIDs(0..<5))
    }

    @Test("a stamped token says when it was made")
    func stamp() throws {
        #expect(EchoTokens.packedStamp(nanoseconds: 0) == 0x41_4141_4120)
        // 0x0bfffe: the digits 2, 63, 63 and 62.
        #expect(EchoTokens.packedStamp(nanoseconds: 0x010b_fffe * 1_000) == 0x2d_5f5f_4320)
        let echo = try BackendDriver.readyEcho()
        let began = Monotonic.awake().nanoseconds / 1_000
        try echo.start(0, try request(maxTokens: 1, options: ["stamp": "1"]))
        let heard = try echo.finish(0)
        let ended = Monotonic.awake().nanoseconds / 1_000
        #expect(heard.tokens == expectedIDs(0..<1))
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        let read = try heard.bytes.dropFirst().reduce(0) { $0 << 6 | UInt64(try #require(digits.firstIndex(of: $1))) }
        #expect((read &- began) & 0xff_ffff <= ended - began)
    }

    @Test("what the manifest says of requests holds where a request does not say")
    func usual() throws {
        let echo = try BackendDriver.readyEcho(options: ["end_at": "3", "burst": "2"])
        try echo.start(0, try request(maxTokens: 9))
        #expect(try echo.finish(0).tokens == expectedIDs(0..<3))
        try echo.start(1, try request(maxTokens: 9, options: ["end_at": "4"]))
        #expect(try echo.finish(1).tokens == expectedIDs(0..<4))
    }

    @Test("it repeats the prompt's words when asked to")
    func repeatsPrompt() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request("grüße an alle", options: ["echo": "1"]))
        let heard = try echo.finish(0)
        #expect(heard.text == " grüße an alle")
        #expect(heard.tokens == [0, 1, 2])
        #expect(heard.finish?.outcome == .reason(.stop))
    }

    @Test("a fault comes at once or after some tokens")
    func fault() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(options: ["fault": "overloaded"]))
        try echo.start(1, try request(options: ["fault": "internal", "fault_at": "4"]))
        let first = try echo.finish(0)
        let second = try echo.finish(1)
        #expect(first.tokens.isEmpty)
        #expect(second.tokens == expectedIDs(0..<4))
        guard case .fault(let one)? = first.finish?.outcome, case .fault(let other)? = second.finish?.outcome else {
            Issue.record("there was no fault")
            return
        }
        #expect(one.code == .overloaded)
        #expect(other.code == .internal)
    }

    @Test(
        "a value that cannot be is refused with its key and itself",
        arguments: [
            ("burst", "0"), ("delay_ms", "-1"), ("tokens_per_second", "nan"), ("tokens_per_second", "fast"),
            ("spread", "maybe"), ("malformed", "nicely"), ("fault", "none"), ("crash_at", ""),
        ])
    func badValue(key: String, value: String) throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(options: [key: value]))
        guard case .fault(let fault)? = try echo.finish(0).finish?.outcome else {
            Issue.record("\(key)=\(value) was accepted")
            return
        }
        #expect(fault.code == .invalidArgument)
        #expect(fault.message.contains("\(key) is '\(value)'"))
    }

    @Test("an unknown option is ignored")
    func unknownOption() throws {
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, try request(maxTokens: 2, options: ["no_such_option": "1"]))
        #expect(try echo.finish(0).tokens.count == 2)
    }
}
