import HTTPProtocols
import InferenceMessages
import StrictJSON
import SwiftProtobuf
import Testing

/// What `/api/chat` and `/api/generate` have in common.
struct OllamaRequestTests {
    private func chat(_ members: String) throws(HTTPFailure) -> OllamaChatRequest {
        try OllamaChatRequest(
            Array(#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], \#(members)}"#.utf8))
    }

    private func generate(_ members: String) throws(HTTPFailure) -> OllamaGenerateRequest {
        try OllamaGenerateRequest(Array(#"{"model": "m", "prompt": "Hi", \#(members)}"#.utf8))
    }

    /// Those of both requests: the same members have the same meaning.
    private func both(_ members: String) throws -> Hearth_V1_GenerateRequest {
        let (first, second) = try (chat(members), generate(members))
        var (left, right) = (first.generate, second.generate)
        left.prompt = nil
        right.prompt = nil
        #expect(left == right)
        #expect(first.streams == second.streams && first.meaning == second.meaning)
        return left
    }

    private func refusal(_ read: () throws(HTTPFailure) -> Void) -> HTTPFailure? {
        do throws(HTTPFailure) {
            try read()
            return nil
        } catch { return error }
    }

    @Test func `options become those of hearth.v1`() throws {
        let request = try both(
            #"""
            "options": {"temperature": 0, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "typical_p": 0.7,
              "repeat_penalty": 1.5, "repeat_last_n": 9, "presence_penalty": -1, "frequency_penalty": 1, "seed": 42,
              "num_predict": 5, "stop": ["x", "y"]}
            """#)
        #expect(request.sampling.hasTemperature && request.sampling.temperature == 0)
        #expect(request.sampling.topP == 0.5)
        #expect(request.sampling.topK == 3)
        #expect(request.sampling.minP == 0.1)
        #expect(request.sampling.typicalP == 0.7)
        #expect(request.sampling.repetitionPenalty == 1.5)
        #expect(request.sampling.penaltyWindow == 9)
        #expect(request.sampling.presencePenalty == -1)
        #expect(request.sampling.frequencyPenalty == 1)
        #expect(request.sampling.seed == 42)
        #expect(request.stopping.maxTokens == 5)
        #expect(request.stopping.stop == ["x", "y"])
    }

    @Test func `numbers that stand for something else become that`() throws {
        let request = try both(#""options": {"seed": -1, "repeat_last_n": -1, "num_predict": -1}"#)
        #expect(!request.sampling.hasSeed)
        #expect(request.sampling.penaltyWindow == UInt32.max)
        #expect(!request.stopping.hasMaxTokens)
        #expect(try !both(#""options": {"num_predict": -2}"#).stopping.hasMaxTokens)
        #expect(try both(#""options": {"seed": -2}"#).sampling.seed == UInt64.max - 1)
        #expect(try both(#""options": {"repeat_last_n": 0}"#).sampling.hasPenaltyWindow)
    }

    @Test func `what is left out, null or empty stays the model's default`() throws {
        let request = try both(
            #"""
            "options": null, "format": "", "keep_alive": null, "think": null, "logprobs": false, "top_logprobs": 0,
            "truncate": false, "shift": false, "_debug_render_only": false
            """#)
        #expect(try request == both(#""options": {}"#))
        #expect(!request.hasSampling && !request.hasStopping && !request.hasOutput && !request.hasFormat)
        #expect(!request.hasKeepAlive)
    }

    @Test func `an answer is a stream unless the request says otherwise`() throws {
        #expect(try chat(#""stream": null"#).streams)
        #expect(try chat(#""options": {}"#).streams)
        #expect(try generate(#""options": {}"#).streams)
        #expect(try !generate(#""stream": false"#).streams)
    }

    @Test func `options of loading are accepted with any value`() throws {
        let options = OllamaOptions.withoutEffect.sorted().map { #""\#($0)": ["a"]"# }
        #expect(try both(#""options": {\#(options.joined(separator: ", "))}"#) == both(#""stream": true"#))
    }

    @Test func `forms become those of hearth.v1`() throws {
        #expect(try both(#""format": "json""#).format.kind == .json(Hearth_V1_Json()))
        let held = try both(#""format": {"type": "object", "properties": {"b": {"minimum": 1.50}, "a": {}}}"#)
        #expect(held.format.jsonSchema == #"{"type":"object","properties":{"b":{"minimum":1.50},"a":{}}}"#)
    }

    @Test func `log-probabilities are asked for with so many likely ones`() throws {
        #expect(try both(#""logprobs": true"#).output.hasLogprobs)
        #expect(try both(#""logprobs": true"#).output.logprobs == 0)
        #expect(try both(#""logprobs": true, "top_logprobs": 4"#).output.logprobs == 4)
    }

    @Test(
        "how a model reasons is its own", arguments: ["true", "false", #""low""#, #""medium""#, #""high""#, #""max""#])
    func think(value: String) throws {
        #expect(try both(#""think": \#(value)"#) == both(#""stream": true"#))
    }

    @Test("the model is named with or without a tag", arguments: ["m", "m:latest"])
    func models(name: String) throws {
        let members = #""model": "\#(name)""#
        #expect(try OllamaChatRequest(Array("{\(members)}".utf8)).generate.model == "m")
        #expect(try OllamaGenerateRequest(Array("{\(members)}".utf8)).generate.model == "m")
        #expect(try OllamaChatRequest(Array(#"{"model": "m:4b"}"#.utf8)).generate.model == "m:4b")
    }

    @Test(
        "the time that a model is kept is in seconds or as Go writes it",
        arguments: [
            ("0", 0, 0), ("0.0", 0, 0), ("-0", 0, 0), ("300", 300, 0), ("1.5", 1, 500_000_000), ("-1", 86_400, 0),
            ("1e30", 86_400, 0), (#""5m""#, 300, 0), (#""1h30m""#, 5_400, 0), (#""1.5h""#, 5_400, 0),
            (#""250ms""#, 0, 250_000_000), (#""+2s""#, 2, 0), (#""2µs""#, 0, 2_000), (#""2μs""#, 0, 2_000),
            (#""2us""#, 0, 2_000), (#""0""#, 0, 0), (#""90""#, 90, 0), (#""-1""#, 86_400, 0), (#""-5m""#, 86_400, 0),
            (#""48h""#, 86_400, 0), (#""24h""#, 86_400, 0), (#""9999999999999999999999h""#, 86_400, 0),
        ])
    func keepAlive(value: String, seconds: Int64, nanos: Int32) throws {
        let kept = try both(#""keep_alive": \#(value)"#).keepAlive
        #expect(kept.seconds == seconds)
        #expect(abs(kept.nanos - nanos) <= 1)
    }

    @Test(
        "no other text is such a time",
        arguments: [
            "", "-", "m", "5 m", "5x", "5m3", "1..5s", ".s", "1h-5m", "nan", "inf", "0x1p3", "1e3", "s5", "5m ",
        ])
    func noTime(text: String) throws {
        let failure = try #require(refusal { () throws(HTTPFailure) in _ = try chat(#""keep_alive": "\#(text)""#) })
        #expect(failure.param == "keep_alive")
        #expect(failure.message.contains("number of seconds"))
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#""temperature": 1"#, "temperature", "not supported"), (#""keepalive": 1"#, "keepalive", "'keep_alive'"),
            (#""options": []"#, "options", "an object"),
            (#""options": {"temprature": 1}"#, "options.temprature", "did you mean 'temperature'?"),
            (#""options": {"temperature": "hot"}"#, "options.temperature", "a number"),
            (#""options": {"top_k": -1}"#, "options.top_k", "a whole number"),
            (#""options": {"typical_p": true}"#, "options.typical_p", "a number"),
            (#""options": {"repeat_penalty": []}"#, "options.repeat_penalty", "a number"),
            (#""options": {"repeat_last_n": -2}"#, "options.repeat_last_n", "from -1"),
            (#""options": {"num_predict": 0}"#, "options.num_predict", "1 or more"),
            (#""options": {"num_predict": -3}"#, "options.num_predict", "from -2"),
            (#""options": {"num_predict": 4294967296}"#, "options.num_predict", "4294967295"),
            (#""options": {"seed": 1.5}"#, "options.seed", "a whole number"),
            (#""options": {"stop": [1]}"#, "options.stop", "a list of strings"),
            (#""options": {"mirostat": 0}"#, "options.mirostat", "use 'temperature'"),
            (#""options": {"tfs_z": 1}"#, "options.tfs_z", "use 'min_p'"),
            (#""options": {"logit_bias": {}}"#, "options.logit_bias", "not supported"),
            (#""format": "xml""#, "format", "a JSON schema"), (#""format": true"#, "format", "a JSON schema"),
            (#""think": "hard""#, "think", "\"max\""), (#""think": """#, "think", "\"max\""),
            (#""think": 1"#, "think", "\"max\""),
            (#""keep_alive": true"#, "keep_alive", "not true"), (#""keep_alive": "soon""#, "keep_alive", "\"soon\""),
            (#""stream": "no""#, "stream", "true or false"), (#""logprobs": 1"#, "logprobs", "true or false"),
            (#""top_logprobs": 3"#, "top_logprobs", "needs 'logprobs'"),
            (#""logprobs": true, "top_logprobs": 21"#, "top_logprobs", "from 0 to 20"),
            (#""truncate": true"#, "truncate", "nothing is cut"), (#""shift": true"#, "shift", "context is full"),
            (#""_debug_render_only": true"#, "_debug_render_only", "leave it out"),
        ])
    func refusals(members: String, param: String, text: String) throws {
        let failures = [
            refusal { () throws(HTTPFailure) in _ = try chat(members) },
            refusal { () throws(HTTPFailure) in _ = try generate(members) },
        ]
        for failure in failures {
            let failure = try #require(failure)
            #expect(failure.statusCode == 400)
            #expect(failure.param == param)
            #expect(failure.message.contains(text))
        }
    }

    @Test(
        "what is no request is refused", arguments: ["", "[]", "{", #"{"model": 1}"#, #"{"model": "m", "model": "m"}"#])
    func noRequest(body: String) throws {
        let body = Array(body.utf8)
        #expect(refusal { () throws(HTTPFailure) in _ = try OllamaChatRequest(body) }?.statusCode == 400)
        #expect(refusal { () throws(HTTPFailure) in _ = try OllamaGenerateRequest(body) }?.statusCode == 400)
    }

    @Test(
        "a request without a prompt is about the model alone",
        arguments: [
            ("", OllamaMeaning.load, "load"), (#", "keep_alive": "5m""#, .load, "load"),
            (#", "keep_alive": -1"#, .load, "load"), (#", "keep_alive": 0"#, .unload, "unload"),
            (#", "keep_alive": "0""#, .unload, "unload"), (#", "keep_alive": "0s""#, .unload, "unload"),
            (#", "stream": false, "keep_alive": 0"#, .unload, "unload"),
        ])
    func meanings(members: String, meaning: OllamaMeaning, reason: String) throws {
        let stamp = AnswerStamp(id: "1", created: 5)
        let end = #""done":true,"done_reason":"\#(reason)"}"#
        let begin = #"{"model":"m","created_at":"1970-01-01T00:00:05Z","#
        for prompt in ["", #", "messages": []"#, #", "messages": null"#] {
            let request = try OllamaChatRequest(Array(#"{"model": "m:latest"\#(prompt)\#(members)}"#.utf8))
            #expect(request.meaning == meaning)
            #expect(request.generate.prompt == nil)
            #expect(
                request.objectWithoutTurn(stamp).text
                    == begin + #""message":{"role":"assistant","content":""},"# + end)
        }
        for prompt in ["", #", "prompt": """#, #", "prompt": "", "raw": true"#, #", "system": "Be brief.""#] {
            let request = try OllamaGenerateRequest(Array(#"{"model": "m"\#(prompt)\#(members)}"#.utf8))
            #expect(request.meaning == meaning)
            #expect(request.generate.prompt == nil)
            #expect(request.objectWithoutTurn(stamp).text == begin + #""response":"","# + end)
        }
        #expect(try chat(#""keep_alive": 0"#).meaning == .turn)
        #expect(try generate(#""keep_alive": 0"#).meaning == .turn)
    }

    @Test func `nesting is bounded, and a schema of the deepest kind fits`() {
        func failure(_ depth: Int) -> HTTPFailure? {
            let text =
                String(repeating: #"{"not":"#, count: depth - 1) + "{}" + String(repeating: "}", count: depth - 1)
            return refusal { () throws(HTTPFailure) in _ = try chat(#""format": \#(text)"#) }
        }
        #expect(failure(JSONObjectScan.nestingMax) == nil)
        #expect(failure(100_000)?.statusCode == 400)
    }

    @Test(
        "fields that the agent refuses have the path of the request's own",
        arguments: [
            ("sampling.top_p", "options.top_p"), ("sampling.repetition_penalty", "options.repeat_penalty"),
            ("sampling.penalty_window", "options.repeat_last_n"), ("sampling", "options"),
            ("stopping.max_tokens", "options.num_predict"), ("stopping.stop[3]", "options.stop[3]"),
            ("format.json_schema", "format"), ("format.json", "format"), ("format", "format"),
            ("output.logprobs", "top_logprobs"), ("keep_alive", "keep_alive"), ("model", "model"),
        ])
    func paths(field: String, param: String) {
        #expect(OllamaChatRequest.param(field) == param)
        #expect(OllamaGenerateRequest.param(field) == param)
    }

    @Test(
        "those of a conversation have the path of its messages",
        arguments: [
            ("prompt", "messages"), ("messages.messages", "messages"), ("messages[2].content", "messages[2].content"),
            ("messages[2].reasoning", "messages[2].thinking"), ("tools.tools[1].name", "tools[1].function.name"),
            ("tools.tools[1].parameters", "tools[1].function.parameters"), ("tools.tools", "tools"),
            ("messages[2].tool_calls[0].name", "messages[2].tool_calls[0].function.name"),
            ("messages[2].tool_calls[0].id", "messages[2].tool_calls[0].id"),
            ("messages.tool_calls", "messages.tool_calls"),
        ])
    func chatPaths(field: String, param: String) { #expect(OllamaChatRequest.param(field) == param) }

    @Test("those of a text have its path", arguments: ["prompt", "text", "messages", "messages[0].content"])
    func generatePaths(field: String) { #expect(OllamaGenerateRequest.param(field) == "prompt") }
}
