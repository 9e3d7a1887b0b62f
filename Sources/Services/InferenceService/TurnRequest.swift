internal import BackendIPC

/// The part of a `hearth.v1.GenerateRequest` that the agent itself has to know. Only the backend reads the prompt; it
/// gets the bytes as they came.
struct TurnRequest: Equatable {
    enum Prompt: Equatable {
        case messages(count: Int)
        case text(byteCount: Int)
        case tokenIDs(count: Int)
    }

    struct Sampling: Equatable {
        var temperature: Float?
        var topP: Float?
        var minP: Float?
        var frequencyPenalty: Float?
        var presencePenalty: Float?
        var repetitionPenalty: Float?
    }

    struct Stopping: Equatable {
        var maxTokens: UInt32?
        var stop: [String] = []
        var stopTokenIDs: [UInt32] = []
        var ignoresEndOfTurn = false
    }

    /// A google.protobuf.Duration.
    struct Duration: Equatable {
        var seconds: Int64 = 0
        var nanoseconds: Int32 = 0
    }

    var requestID = ""
    var model = ""
    /// Nil: no prompt was sent.
    var prompt: Prompt?
    var sampling = Sampling()
    var stopping = Stopping()
    /// Whether deltas bring the ids of their tokens.
    var wantsTokenIDs = false
    /// The longest time to wait for a sequence; nil: no limit.
    var queueTime: Duration?
    /// How long a model that is loaded on demand is kept after this request; nil: as its owner says.
    var keepAlive: Duration?
    var optionCount = 0
    var optionBytes = 0
}

extension TurnRequest.Stopping {
    /// The bounds that the backend's answer is checked against.
    var bounds: SequenceBounds {
        SequenceBounds(tokensMax: maxTokens, stopTokenIDs: stopTokenIDs, stopCount: stop.count)
    }
}

extension TurnRequest.Duration {
    /// Whole milliseconds, at most what fits. The duration is not negative.
    var milliseconds: UInt64 {
        let (whole, overflow) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000)
        let (sum, overflow2) = whole.addingReportingOverflow(UInt64(clamping: nanoseconds) / 1_000_000)
        return overflow || overflow2 ? .max : sum
    }
}
