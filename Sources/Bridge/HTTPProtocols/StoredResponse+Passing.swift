internal import GRPC
package import InferenceMessages
internal import LinuxSystem
internal import StrictJSON
internal import SwiftProtobuf

internal import struct Foundation.Data

// As the bridge of the agent that takes this one's place is told of a response.
extension StoredResponse {
    package typealias Record = Hearth_Handover_V1_StoredResponse

    /// What was asked. What came of it, and how it failed, is told besides.
    func record(of caller: [UInt8], ended: Monotonic?) -> Record {
        .with {
            $0.id = id
            $0.created = stamp.created
            $0.caller = Data(caller)
            $0.model = request.generate.model
            $0.asked = request.asked.object.text
            $0.bodyBytes = UInt64(bodyBytes)
            if let ended { $0.ended = ended.nanoseconds }
        }
    }

    /// Nil where no bridge can have written this.
    init?(_ record: Record) {
        guard record.id.hasPrefix(Self.idPrefix), let asked = ResponsesRequest.Asked(record.asked),
            let bodyBytes = Int(exactly: record.bodyBytes)
        else { return nil }
        self.init(
            ResponsesRequest(model: record.model, asked: asked),
            AnswerStamp(id: String(record.id.dropFirst(Self.idPrefix.count)), created: record.created),
            bodyBytes: bodyBytes)
    }
}

extension ResponsesRequest.Asked {
    /// A JSON object with every member of what was asked in the background.
    var object: JSONOutput {
        .object([
            ("instructions", instructions), ("tools", tools), ("tool_choice", toolChoice),
            ("parallel_tool_calls", parallelCalls), ("text", form), ("top_p", topP),
            ("presence_penalty", presencePenalty), ("frequency_penalty", frequencyPenalty),
            ("top_logprobs", topLogprobs), ("temperature", temperature), ("reasoning", reasoning),
            ("max_output_tokens", maxOutputTokens), ("metadata", metadata),
        ])
    }

    /// Reads the text of such an object; nil where a member is missing.
    init?(_ text: String) {
        guard let node = try? JSONNode.parse(Array(text.utf8), file: "a response"),
            case .object(let members) = node.value
        else { return nil }
        func member(_ key: String) -> JSONOutput? {
            members.first { $0.key == key }.map { JSONOutput($0.node) }
        }
        guard let instructions = member("instructions"), let tools = member("tools"),
            let toolChoice = member("tool_choice"), let parallelCalls = member("parallel_tool_calls"),
            let form = member("text"), let topP = member("top_p"), let presencePenalty = member("presence_penalty"),
            let frequencyPenalty = member("frequency_penalty"), let topLogprobs = member("top_logprobs"),
            let temperature = member("temperature"), let reasoning = member("reasoning"),
            let maxOutputTokens = member("max_output_tokens"), let metadata = member("metadata")
        else { return nil }
        self.init(
            instructions: instructions, tools: tools, toolChoice: toolChoice, parallelCalls: parallelCalls, form: form,
            topP: topP, presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, topLogprobs: topLogprobs,
            temperature: temperature, reasoning: reasoning, maxOutputTokens: maxOutputTokens, metadata: metadata,
            isBackground: true)
    }
}

extension Hearth_Handover_V1_ResponseFailure {
    package init(_ id: String, _ failure: HTTPFailure) {
        self.init()
        self.id = id
        statusCode = UInt32(failure.statusCode)
        type = failure.type
        code = failure.code ?? ""
        param = failure.param ?? ""
        message = failure.message
        if let seconds = failure.retryAfterSeconds { retryAfterSeconds = seconds }
        if let status = failure.grpc { grpc = Int32(status.rawValue) }
    }

    package var failure: HTTPFailure {
        var failure = HTTPFailure(
            Int(statusCode), type: type, code: code.isEmpty ? nil : code, param: param.isEmpty ? nil : param, message,
            retryAfterSeconds: hasRetryAfterSeconds ? retryAfterSeconds : nil)
        failure.grpc = hasGrpc ? .init(rawValue: Int(grpc)) : nil
        return failure
    }
}
