import HTTPProtocols
import InferenceMessages
import Testing

struct MessagesModelListTests {
    @Test func `a list of models is one page`() {
        var model = Hearth_V1_Model()
        model.id = "echo:1"
        var other = model
        other.id = "llama"
        other.maxContextTokens = 8192
        let times = #""created_at":"1970-01-01T00:00:00Z","lifecycle":"active""#
        let first =
            #"{"type":"model","id":"echo:1","display_name":"echo:1",\#(times),"max_input_tokens":null}"#
        #expect(MessagesModelList.object(model).text == first)
        #expect(
            MessagesModelList.object([model, other]).text
                == #"{"data":[\#(first),{"type":"model","id":"llama","display_name":"llama",\#(times),"#
                + #""max_input_tokens":8192}],"has_more":false,"first_id":"echo:1","last_id":"llama"}"#)
        #expect(
            MessagesModelList.object([]).text == #"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#)
    }
}
