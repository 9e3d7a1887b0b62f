import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct CompletionRequestTests {
    private func read(_ members: String) throws(HTTPFailure) -> Hearth_V1_GenerateRequest {
        try CompletionRequest(Array(#"{"model": "m", "prompt": "Once", \#(members)}"#.utf8)).generate
    }

    private func refusal(_ body: String) -> HTTPFailure? {
        do throws(HTTPFailure) {
            _ = try CompletionRequest(Array(body.utf8))
            return nil
        } catch { return error }
    }

    @Test(
        "a prompt is one text, or the ids of its tokens",
        arguments: [
            (#""Once""#, Hearth_V1_GenerateRequest.OneOf_Prompt.text("Once")), (#"["Once"]"#, .text("Once")),
            ("[1, 22]", .tokenIds(.with { $0.ids = [1, 22] })), ("[[1, 22]]", .tokenIds(.with { $0.ids = [1, 22] })),
            (#""""#, .text("")),
        ])
    func prompts(prompt: String, expected: Hearth_V1_GenerateRequest.OneOf_Prompt) throws {
        let request = try CompletionRequest(Array(#"{"model": "m", "prompt": \#(prompt)}"#.utf8))
        #expect(request.generate.prompt == expected)
        #expect(request.generate.model == "m")
        #expect(!request.streams && !request.includesUsage)
    }

    @Test func `sampling, stops and logprobs are passed on`() throws {
        let request = try read(
            #"""
            "temperature": 0, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "frequency_penalty": 1, "presence_penalty": -1,
            "repetition_penalty": 1.5, "seed": 7, "logit_bias": {"7": -100}, "stop": ["x", "y"], "max_tokens": 5,
            "min_tokens": 2, "logprobs": 4, "n": 3, "best_of": 3, "echo": false
            """#)
        #expect(request.sampling.hasTemperature && request.sampling.temperature == 0)
        #expect(request.sampling.topP == 0.5)
        #expect(request.sampling.topK == 3)
        #expect(request.sampling.minP == 0.1)
        #expect(request.sampling.frequencyPenalty == 1)
        #expect(request.sampling.presencePenalty == -1)
        #expect(request.sampling.repetitionPenalty == 1.5)
        #expect(request.sampling.seed == 7)
        #expect(request.sampling.logitBias.map(\.tokenID) == [7])
        #expect(request.stopping.stop == ["x", "y"])
        #expect(request.stopping.maxTokens == 5)
        #expect(request.stopping.minTokens == 2)
        #expect(request.output.logprobs == 4)
        #expect(request.choices == 3)
    }

    @Test func `a request that says nothing has the protocol's 16 tokens, and the model's defaults`() throws {
        let request = try read(#""max_tokens": null, "n": 1, "best_of": 1, "logprobs": null"#)
        #expect(request.stopping.maxTokens == 16)
        #expect(!request.hasSampling && !request.hasOutput && !request.hasChoices)
        #expect(try read(#""logprobs": 0"#).output.hasLogprobs)
    }

    @Test func `fields without effect are accepted`() throws {
        let members = CompletionRequest.withoutEffect.sorted().map { #""\#($0)": {"a": ["b"]}"# }
        #expect(try read(members.joined(separator: ", ")) == read(#""stream": false"#))
    }

    @Test func `a stream tells what it cost where it is asked to`() throws {
        let body =
            #"{"prompt": "a", "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": true}}"#
        let request = try CompletionRequest(Array(body.utf8))
        #expect(request.streams && request.includesUsage)
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#""promt": 1"#, "promt", "did you mean 'prompt'?"), (#""echo": true"#, "echo", "cannot be true"),
            (#""suffix": "b""#, "suffix", "as token ids"), (#""best_of": 2"#, "best_of", "must be what 'n' is"),
            (#""n": 2, "best_of": 3"#, "best_of", "must be what 'n' is"), (#""n": 17"#, "n", "from 1 to 16"),
            (#""logprobs": 6"#, "logprobs", "from 0 to 5"), (#""logprobs": true"#, "logprobs", "a whole number"),
            (#""max_tokens": 0"#, "max_tokens", "from 1"), (#""max_tokens": -1"#, "max_tokens", "from 1"),
            (#""max_completion_tokens": 5"#, "max_completion_tokens", "use 'max_tokens'"),
            (#""stream_options": {"include_usage": true}"#, "stream_options", "needs 'stream'"),
            (#""stream": true, "stream_options": {"colour": 1}"#, "stream_options.colour", "not supported"),
            (#""stop": 1"#, "stop", "a list of strings"), (#""messages": []"#, "messages", "/v1/chat/completions"),
        ])
    func refusals(members: String, param: String, text: String) throws {
        let failure = try #require(refusal(#"{"model": "m", "prompt": "Once", \#(members)}"#))
        #expect(failure.statusCode == 400)
        #expect(failure.param == param)
        #expect(failure.message.contains(text))
    }

    @Test(
        "prompts that cannot be taken are refused by their path",
        arguments: [
            (#"["a", "b"]"#, "prompt", "has 2 prompts"), ("[[1], [2]]", "prompt", "has 2 prompts"),
            ("[]", "prompt", "not be empty"), ("[[]]", "prompt[0]", "not be empty"),
            ("null", "prompt", "is missing"), ("1", "prompt", "must be a string"),
            (#"[1, "a"]"#, "prompt[1]", "a token id"), (#"["a", 1]"#, "prompt[1]", "a list of token ids"),
            ("[-1]", "prompt[0]", "a token id"), ("[[1, 4294967296]]", "prompt[0][1]", "a token id"),
            ("[{}]", "prompt[0]", "a list of token ids"),
        ])
    func refusedPrompts(prompt: String, param: String, text: String) throws {
        let failure = try #require(refusal(#"{"prompt": \#(prompt)}"#))
        #expect(failure.param == param)
        #expect(failure.message.contains(text))
    }

    @Test(
        "fields that the agent refuses have the path of the request's own",
        arguments: [
            ("text", "prompt"), ("token_ids.ids[3]", "prompt[3]"), ("prompt", "prompt"), ("choices", "n"),
            ("sampling.top_p", "top_p"), ("stopping.stop[3]", "stop[3]"), ("stopping.max_tokens", "max_tokens"),
            ("output.logprobs", "logprobs"), ("model", "model"),
        ])
    func paths(field: String, param: String) { #expect(CompletionRequest.param(field) == param) }
}
