import HTTPProtocols
import InferenceMessages
import Testing

/// Bodies of `/v1/messages`, and how they are read.
enum MessagesBody {
    /// One with these members behind those that every one has.
    static func text(_ members: String) -> String {
        #"{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]\#(members)}"#
    }

    static func read(_ members: String) throws(HTTPFailure) -> Hearth_V1_GenerateRequest {
        try MessagesRequest(Array(text(", " + members).utf8)).generate
    }

    static func refusal(_ body: String) -> HTTPFailure? {
        do throws(HTTPFailure) {
            _ = try MessagesRequest(Array(body.utf8))
            return nil
        } catch { return error }
    }

    static func expectRefusal(_ body: String, _ param: String, _ text: String) throws {
        let failure = try #require(refusal(body))
        #expect(failure.statusCode == 400)
        #expect(failure.type == "invalid_request_error")
        #expect(failure.param == param)
        #expect(failure.message.contains(text), "\(failure.message)")
    }
}
