import HTTPProtocols
import InferenceMessages
import Testing

struct CountTokensRequestTests {
    @Test func `tokens are counted for the same request, with or without a limit`() throws {
        let members =
            #""model": "m", "system": "S", "tools": [{"name": "a", "input_schema": {}}], "messages": [{"role": "user", "content": "Hi"}]"#
        let counted = try CountTokensRequest(Array("{\(members)}".utf8)).generate
        var asked = try MessagesRequest(Array("{\(members), \"max_tokens\": 9}".utf8)).generate
        #expect(try CountTokensRequest(Array("{\(members), \"max_tokens\": 9}".utf8)).generate == asked)
        asked.clearStopping()
        #expect(counted == asked)
        #expect(throws: HTTPFailure.self) { try CountTokensRequest(Array(#"{"messages": [], "colour": 1}"#.utf8)) }
        var response = Hearth_V1_CountTokensResponse()
        response.tokens = 4_000_000_000
        #expect(CountTokensRequest.object(response).text == #"{"input_tokens":4000000000}"#)
    }
}
