internal import BackendIPC
internal import OutputGrammar

/// The part of a `hearth.v1.GenerateRequest` that the agent itself has to know. Only the backend reads the prompt; it
/// gets the bytes as they came.
struct TurnRequest: Equatable {
    enum Prompt: Equatable {
        case messages(count: Int)
        case text(byteCount: Int)
        case tokenIDs(count: Int)
    }

    struct Sampling: Equatable {
        var seed: UInt64?
        var temperature: Float?
        var topP: Float?
        var minP: Float?
        var frequencyPenalty: Float?
        var presencePenalty: Float?
        var repetitionPenalty: Float?
        var penaltyWindow: UInt32?
        var typicalP: Float?
        var topNSigma: Float?
        var xtcProbability: Float?
        var xtcThreshold: Float?
        var dryMultiplier: Float?
        var dryBase: Float?
        var dryAllowedLength: UInt32?
        var dryWindow: UInt32?
        /// The number of texts; nil: the model's default ones.
        var sequenceBreakers: Int?
        var logitBias: [LogitBias] = []
    }

    struct LogitBias: Equatable {
        var tokenID: UInt32 = 0
        var bias: Float = 0
    }

    struct Stopping: Equatable {
        var maxTokens: UInt32?
        var stop: [String] = []
        var stopTokenIDs: [UInt32] = []
        var ignoresEndOfTurn = false
        var minTokens: UInt32?
    }

    /// A google.protobuf.Duration.
    struct Duration: Equatable {
        var seconds: Int64 = 0
        var nanoseconds: Int32 = 0
    }

    struct Adapter: Equatable {
        var name = ""
        var scale: Float?
    }

    /// A `hearth.v1.ToolUse`.
    struct Tools: Equatable {
        var names: [String] = []
        /// Names, descriptions and schemas together.
        var byteCount = 0
        /// A `hearth.v1.ToolChoice`.
        var choice: Int32 = 0
        var requiredTool = ""

        /// Whether the model may call one.
        var mayBeCalled: Bool { !names.isEmpty && choice != 2 }
    }

    /// What its messages have beside a role and content.
    struct MessageContents: Equatable {
        var parts = 0
        var hasImages = false
        var hasAudio = false
        /// Whether a message is a tool's or has a name, calls or reasoning.
        var hasToolFields = false
        var endsWithAssistant = false
    }

    /// The form of the completion.
    struct Format: Equatable {
        /// Nil: none was named.
        var kind: OutputFormat?
        /// The bytes of all texts to choose among.
        var choiceBytes = 0
    }

    var requestID = ""
    var model = ""
    /// Nil: no prompt was sent.
    var prompt: Prompt?
    var messageContents = MessageContents()
    /// Nil: none were sent.
    var tools: Tools?
    var sampling = Sampling()
    var stopping = Stopping()
    /// Whether deltas bring the ids of their tokens.
    var wantsTokenIDs = false
    /// How many alternatives come with the log-probability of each token; nil: deltas bring no log-probabilities.
    var logprobs: UInt32?
    /// The longest time to wait for a sequence; nil: no limit.
    var queueTime: Duration?
    /// How long a model that is loaded on demand is kept after this request; nil: as its owner says.
    var keepAlive: Duration?
    /// Whether what happens before there is text is told as it happens.
    var wantsQueueEvents = false
    /// How many completions are wanted; nil: one.
    var choices: UInt32?
    /// How long the turn waits for its consumer to come back; nil or zero: it does not.
    var resumableFor: Duration?
    /// Nil: any text.
    var format: Format?
    /// Nil: those that the model's owner applies by default.
    var adapters: [Adapter]?
    var optionCount = 0
    var optionBytes = 0
}

extension TurnRequest {
    /// The number of its completions, at least 1.
    var choiceCount: Int { max(1, Int(choices ?? 1)) }

    /// The bounds that the backend's answer is checked against.
    var bounds: SequenceBounds {
        SequenceBounds(
            tokensMax: stopping.maxTokens, stopTokenIDs: stopping.stopTokenIDs, stopCount: stopping.stop.count,
            logprobs: logprobs.map { Int($0) }, toolNames: tools.map { $0.mayBeCalled ? $0.names : [] } ?? [])
    }
}

extension TurnRequest {
    /// How long the turn waits for its consumer to come back; nil: it does not.
    var resumableMilliseconds: UInt64? {
        resumableFor.flatMap { $0.seconds == 0 && $0.nanoseconds == 0 ? nil : max($0.milliseconds, 1) }
    }
}

/// A `hearth.v1.ResumeRequest`.
struct ResumeRequest: Equatable {
    var token = ""
    /// The last event that the consumer has; 0: none.
    var after: UInt64 = 0
    var isCancel = false
}

extension TurnRequest.Duration {
    /// Rounded up. The duration is not negative.
    var wholeSeconds: UInt32 { UInt32(clamping: (milliseconds + 999) / 1_000) }

    /// Whole milliseconds, at most what fits. The duration is not negative.
    var milliseconds: UInt64 {
        let (whole, overflow) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000)
        let (sum, overflow2) = whole.addingReportingOverflow(UInt64(clamping: nanoseconds) / 1_000_000)
        return overflow || overflow2 ? .max : sum
    }
}
