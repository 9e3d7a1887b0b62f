internal import BackendIPC

/// What the agent itself has to know of a `hearth.v1.GenerateRequest`; the prompt is the backend's, which gets the bytes as
/// they came.
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

    /// As google.protobuf.Duration has it.
    struct Duration: Equatable {
        var seconds: Int64 = 0
        var nanoseconds: Int32 = 0
    }

    var requestID = ""
    var model = ""
    /// Nil: none of the three was sent.
    var prompt: Prompt?
    var sampling = Sampling()
    var stopping = Stopping()
    /// Whether deltas bring the ids of their tokens.
    var wantsTokenIDs = false
    /// The longest time to wait for a sequence; nil: as long as it takes.
    var queueTime: Duration?
    /// How long a model that is loaded on demand is kept after this request; nil: as its owner says.
    var keepAlive: Duration?
    var optionCount = 0
    var optionBytes = 0
}

extension TurnRequest.Stopping {
    /// What the backend's answer is held against.
    var bounds: SequenceBounds { SequenceBounds(tokensMax: maxTokens, stopTokenIDs: stopTokenIDs) }
}

extension TurnRequest.Duration {
    /// Whole milliseconds, at most what fits. It is not negative.
    var milliseconds: UInt64 {
        let (whole, overflow) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000)
        let (sum, overflow2) = whole.addingReportingOverflow(UInt64(clamping: nanoseconds) / 1_000_000)
        return overflow || overflow2 ? .max : sum
    }
}
