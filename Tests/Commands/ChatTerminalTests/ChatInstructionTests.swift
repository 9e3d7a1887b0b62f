import InferenceMessages
import Testing

@testable import ChatTerminal

struct ChatInstructionTests {
    @Test(
        "a line is a prompt, or an instruction",
        arguments: [
            ("hello", ChatInstruction.prompt("hello")), ("//etc/passwd", .prompt("/etc/passwd")),
            (" /help", .prompt(" /help")),
            ("/help", .help), ("/?", .help), ("/bye ", .bye), ("/quit", .bye), ("/exit", .bye), ("/show", .show),
            ("/models", .models), ("/model", .showModel), ("/model  a:b ", .model("a:b")), ("/clear", .clear),
            ("/system", .showSystem), ("/system clear", .setSystem(nil)),
            ("/system Be  terse.", .setSystem("Be  terse.")),
            ("/system a\nb", .setSystem("a\nb")), ("/save a b", .save("a b")), ("/load ~/x", .load("~/x")),
            ("/stats on", .stats(true)), ("/stats off", .stats(false)),
            ("/set temperature 0.5", .set(.temperature, "0.5")),
            ("/set top_k default", .set(.topK, nil)),
        ])
    func lines(line: String, instruction: ChatInstruction) {
        #expect(ChatInstruction(line) == instruction)
    }

    @Test(
        "what cannot be done says how to do it",
        arguments: [
            ("/sav x", "did you mean /save?"), ("/hlep", "did you mean /help?"), ("/etc/passwd says", "'//'"),
            ("/", "/help"),
            ("/save", "name of a new file"), ("/load", "name of a file"), ("/stats", "on or /stats off"),
            ("/clear all", "'//'"), ("/set", "NAME VALUE"), ("/set temperature", "NAME VALUE"),
            ("/set temprature 1", "'temperature'"),
        ])
    func mistakes(line: String, told: String) {
        guard case .mistake(let why) = ChatInstruction(line) else {
            Issue.record("\(line) is no mistake")
            return
        }
        #expect(why.contains(told))
    }

    @Test(
        "a parameter is set, shown and left to the model again",
        arguments: [
            (ChatParameter.temperature, "0.5", ["-1", "2.1", "nan", "x", ""]), (.topP, "1.0", ["0", "1.1", "inf"]),
            (.topK, "40", ["-1", "1.5", "4294967296"]), (.minP, "0.0", ["-0.1", "2"]),
            (.seed, "18446744073709551615", ["-1", "x"]),
            (.maxTokens, "1", ["0", "-1"]), (.repetitionPenalty, "1.5", ["0", "11"]),
            (.frequencyPenalty, "-2.0", ["3"]),
            (.presencePenalty, "2.0", ["-3"]), (.penaltyWindow, "4294967295", ["-1", "4294967296"]),
            (.typicalP, "1.0", ["0", "1.1"]), (.topNSigma, "0.0", ["-1", "101"]), (.xtcProbability, "1.0", ["1.1"]),
            (.xtcThreshold, "0.5", ["0.6"]), (.dryMultiplier, "10.0", ["-1", "11"]), (.dryBase, "1.0", ["0.9", "11"]),
            (.dryAllowedLength, "65536", ["0", "65537"]), (.dryWindow, "0", ["-1"]), (.minTokens, "0", ["-1"]),
        ])
    func parameters(parameter: ChatParameter, good: String, bad: [String]) throws {
        var request = Hearth_V1_GenerateRequest()
        #expect(parameter.value(in: request) == nil)
        try parameter.set(good, in: &request)
        #expect(parameter.value(in: request) == good)
        for text in bad {
            #expect(throws: ChatParameter.Mistake.self) { try parameter.set(text, in: &request) }
        }
        #expect(parameter.value(in: request) == good)
        try parameter.set(nil, in: &request)
        #expect(parameter.value(in: request) == nil)
    }

    @Test func `the overview names every instruction`() {
        let words = ChatInstruction.overview.map { $0[0] }.joined(separator: " ")
        for name in [
            "/help", "/system", "/set", "/show", "/model", "/models", "/clear", "/save", "/load", "/stats", "/bye",
        ] {
            #expect(words.contains(name))
        }
    }
}
