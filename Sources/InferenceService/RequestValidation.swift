package import GRPC
package import InferenceMessages
internal import SwiftProtobuf

/// The checks of a request that need no backend. Whatever passes is in the ranges that inference.proto states.
package enum RequestValidation {
    /// Throws INVALID_ARGUMENT with the field, what it holds and what it may hold.
    package static func check(_ request: Hearth_V1_GenerateRequest, limits: InferenceLimits) throws(Status) {
        guard request.requestID.utf8.count <= limits.requestIDBytesMax else {
            throw invalid(
                "request_id", "has \(request.requestID.utf8.count) bytes", "at most \(limits.requestIDBytesMax)")
        }
        try checkPrompt(request, limits: limits)
        try checkSampling(request.sampling)
        try checkStopping(request.stopping, limits: limits)
        let options = request.backendOptions
        let bytes = options.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard options.count <= limits.backendOptionsMax, bytes <= limits.backendOptionsBytesMax else {
            throw invalid(
                "backend_options", "has \(options.count) entries and \(bytes) bytes",
                "at most \(limits.backendOptionsMax) entries and \(limits.backendOptionsBytesMax) bytes")
        }
        if request.hasMaxQueueTime, request.maxQueueTime.seconds < 0 || request.maxQueueTime.nanos < 0 {
            throw invalid("max_queue_time", "is negative", "zero (do not wait) or more")
        }
    }

    private static func checkPrompt(_ request: Hearth_V1_GenerateRequest, limits: InferenceLimits) throws(Status) {
        switch request.prompt {
        case nil:
            throw invalid("prompt", "is missing", "one of messages, text and token_ids")
        case .text(let text):
            guard !text.isEmpty else { throw invalid("text", "is empty", "one byte or more") }
        case .tokenIds(let tokens):
            guard !tokens.ids.isEmpty else { throw invalid("token_ids", "is empty", "one id or more") }
        case .messages(let conversation):
            let messages = conversation.messages
            guard !messages.isEmpty, messages.count <= limits.messagesMax else {
                throw invalid("messages", "has \(messages.count) messages", "1 to \(limits.messagesMax)")
            }
            for (index, message) in messages.enumerated() {
                switch message.role {
                case .system, .user, .assistant: continue
                case .unspecified, .UNRECOGNIZED:
                    throw invalid(
                        "messages[\(index)].role", "is \(message.role.rawValue)",
                        "ROLE_SYSTEM, ROLE_USER or ROLE_ASSISTANT")
                }
            }
        }
    }

    private static func checkSampling(_ sampling: Hearth_V1_Sampling) throws(Status) {
        func check(_ name: String, _ isSet: Bool, _ value: Float, _ range: ClosedRange<Float>, aboveZero: Bool = false)
            throws(Status)
        {
            // A NaN is in no range.
            guard !isSet || (range.contains(value) && !(aboveZero && value == 0)) else {
                let bounds = "\(aboveZero ? "above " : "")\(range.lowerBound) to \(range.upperBound)"
                throw invalid("sampling.\(name)", "is \(value)", bounds)
            }
        }
        try check("temperature", sampling.hasTemperature, sampling.temperature, 0...2)
        try check("top_p", sampling.hasTopP, sampling.topP, 0...1, aboveZero: true)
        try check("min_p", sampling.hasMinP, sampling.minP, 0...1)
        try check("frequency_penalty", sampling.hasFrequencyPenalty, sampling.frequencyPenalty, -2...2)
        try check("presence_penalty", sampling.hasPresencePenalty, sampling.presencePenalty, -2...2)
        try check(
            "repetition_penalty", sampling.hasRepetitionPenalty, sampling.repetitionPenalty, 0...10, aboveZero: true)
    }

    private static func checkStopping(_ stopping: Hearth_V1_Stopping, limits: InferenceLimits) throws(Status) {
        if stopping.hasMaxTokens, stopping.maxTokens == 0 {
            throw invalid("stopping.max_tokens", "is 0", "1 or more; leave it out for what is left of the context")
        }
        guard stopping.stop.count <= limits.stopStringsMax else {
            throw invalid("stopping.stop", "has \(stopping.stop.count) strings", "at most \(limits.stopStringsMax)")
        }
        for (index, stop) in stopping.stop.enumerated() {
            guard (1...limits.stopStringBytesMax).contains(stop.utf8.count) else {
                throw invalid(
                    "stopping.stop[\(index)]", "has \(stop.utf8.count) bytes", "1 to \(limits.stopStringBytesMax)")
            }
        }
        guard stopping.stopTokenIds.count <= limits.stopTokenIDsMax else {
            throw invalid(
                "stopping.stop_token_ids", "has \(stopping.stopTokenIds.count) ids", "at most \(limits.stopTokenIDsMax)"
            )
        }
        let hasEnd = stopping.hasMaxTokens || !stopping.stop.isEmpty || !stopping.stopTokenIds.isEmpty
        if stopping.ignoreEndOfTurn, !hasEnd {
            throw invalid(
                "stopping.ignore_end_of_turn", "is set without another end",
                "set max_tokens, stop or stop_token_ids as well")
        }
    }

    private static func invalid(_ field: String, _ found: String, _ allowed: String) -> Status {
        invalid(field, "\(found); allowed: \(allowed)")
    }

    /// INVALID_ARGUMENT for what a field holds, in words that go on after its name.
    static func invalid(_ field: String, _ description: String) -> Status {
        Status(
            .invalidArgument, "\(field) \(description)",
            details: [.badRequest(field: field, description: description)])
    }
}
