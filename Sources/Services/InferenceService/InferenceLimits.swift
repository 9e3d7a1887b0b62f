package import LimitDeclaration

/// The bounds of the inference service. At each a request ends with a status; nothing grows.
package struct InferenceLimits: LimitGroup {
    @Limit("Requests that wait for one model; the next one ends RESOURCE_EXHAUSTED.", counted: true)
    package var queuedRequestsMax = 1024
    @Limit("The longest part of a turn's time that counts against its caller's share of a model's sequences.")
    package var countedTurnMilliseconds: UInt64 = 600_000
    @Limit("Callers whose use of a model is remembered while others use it; of more, those that rest are forgotten.")
    package var rememberedCallersMax = 4_096
    @Limit("The longest time after which a request that found no place is told to come again.")
    package var retryMillisecondsMax: UInt64 = 60_000
    @Limit("Questions about prompts that wait until a model is loaded; the next one ends RESOURCE_EXHAUSTED.")
    package var questionsMax = 256
    /// Fewer with log-probabilities (`TurnCredit.most`).
    @Limit("Tokens computed ahead of the consumer's reading.")
    package var creditTokens: UInt32 = 1024
    @Limit("Bytes of log-probabilities whose tokens wait for their text; above it they are sent without it.")
    package var pendingLogprobBytesMax = 32 << 10
    /// Room for the tokens of twice `creditTokens`, each an event of its own with as much text as the contract lets it
    /// have.
    @Limit(
        "Bytes of a turn's events that its consumer has not read; above it the turn ends RESOURCE_EXHAUSTED.",
        counted: true)
    package var turnBytesMax = 8 << 20
    @Limit(
        "Events of a turn that its consumer has not read; above it the turn ends RESOURCE_EXHAUSTED.", counted: true)
    package var turnEventsMax = 4_096
    /// A consumer that comes back may have lost everything that was on its way to it.
    @Limit("Events of a turn that can be resumed; its backend computes ahead of an absent consumer up to half of them.")
    package var resumableEventsMax = 32_768
    @Limit("resumable_for; a longer one is an INVALID_ARGUMENT.")
    package var resumableMillisecondsMax: UInt64 = 600_000
    @Limit(
        "Turns that can be resumed; above it those that were sent whole are forgotten, else the next one ends RESOURCE_EXHAUSTED.",
        counted: true)
    package var resumableTurnsMax = 8_192
    @Limit("Turns of one caller that can be resumed, bounded as resumableTurnsMax bounds them all.", counted: true)
    package var resumableTurnsOfCallerMax = 2_048
    /// What they compute ahead is bounded by their credit.
    @Limit(
        "Bytes kept of turns that can be resumed; above it the next one ends RESOURCE_EXHAUSTED, and absent consumers' stand still.",
        counted: true)
    package var resumableBytesMax = 256 << 20
    @Limit(
        "Bytes kept of one caller's turns that can be resumed, bounded as resumableBytesMax bounds them all.",
        counted: true)
    package var resumableBytesOfCallerMax = 64 << 20
    @Limit("resume_token; a longer one is an INVALID_ARGUMENT.")
    package var resumeTokenBytesMax = 128
    /// The other turn waits for its sequence. A consumer's library may report nothing before half of its window was
    /// read, and 64 KiB are common.
    @Limit("A turn that stays unread this long while another waits ends RESOURCE_EXHAUSTED.", counted: true)
    package var unreadMilliseconds: UInt64 = 60_000
    @Limit("A consumer that reads fewer bytes within unreadMilliseconds counts as one that does not read.")
    package var unreadBytesMin = 1_024
    /// It looks only while a turn waits.
    @Limit("How often the agent looks for turns that stay unread.")
    package var unreadCheckMilliseconds: UInt64 = 1_000
    @Limit("Turns on one stream of Chat; the next one ends the stream RESOURCE_EXHAUSTED.", counted: true)
    package var turnsPerStreamMax = 10_000
    @Limit("A request of ListModels; a longer one ends RESOURCE_EXHAUSTED.")
    package var listRequestBytesMax = 4 << 10
    @Limit("Fields of a request, or text that costs as much, read before other work gets its turn.")
    package var requestStepsPerTurnMax = 4_096
    /// The fields of its parts included.
    @Limit("Fields of a request; more are an INVALID_ARGUMENT.")
    package var requestFieldsMax = 65_536
    @Limit("request_id; a longer one is an INVALID_ARGUMENT.")
    package var requestIDBytesMax = 128
    @Limit("model; a longer one is an INVALID_ARGUMENT.")
    package var modelBytesMax = 256
    @Limit("token_ids; more are an INVALID_ARGUMENT.")
    package var promptTokenIDsMax = 1 << 20
    @Limit("Messages of a prompt; more are an INVALID_ARGUMENT.")
    package var messagesMax = 4096
    @Limit("Parts of all messages; more are an INVALID_ARGUMENT.")
    package var messagePartsMax = 256
    @Limit("Tool calls of all messages; more are an INVALID_ARGUMENT.")
    package var messageCallsMax = 256
    @Limit("A name or an id in messages; a longer one is an INVALID_ARGUMENT.")
    package var messageNameBytesMax = 128
    @Limit("Tools; more are an INVALID_ARGUMENT.")
    package var toolsMax = 256
    @Limit("All tools together, with their schemas; more are an INVALID_ARGUMENT.")
    package var toolsBytesMax = 1 << 20
    /// Each is a sequence with what it computes ahead.
    @Limit("Choices of a request; more are an INVALID_ARGUMENT.")
    package var choicesMax: UInt32 = 16
    @Limit("Stop strings; more are an INVALID_ARGUMENT.")
    package var stopStringsMax = 16
    @Limit("A stop string; a longer one is an INVALID_ARGUMENT.")
    package var stopStringBytesMax = 256
    @Limit("Stop tokens; more are an INVALID_ARGUMENT.")
    package var stopTokenIDsMax = 64
    @Limit("Tokens of logit_bias; more are an INVALID_ARGUMENT.")
    package var logitBiasesMax = 1_024
    /// A backend compares each of them with its whole vocabulary, and meanwhile computes nothing: the worst eight take llama a
    /// third of a second with 49,000 tokens.
    @Limit("dry_sequence_breakers; more are an INVALID_ARGUMENT.")
    package var sequenceBreakersMax = 8
    @Limit("A text of dry_sequence_breakers; a longer one is an INVALID_ARGUMENT.")
    package var sequenceBreakerBytesMax = 16
    /// To make a grammar of the worst schema of this length takes 40 ms, beside the loop.
    @Limit("A format's schema, its grammar, or its texts together; a longer one is an INVALID_ARGUMENT.")
    package var formatBytesMax = 64 << 10
    @Limit("Texts of format.choice; more are an INVALID_ARGUMENT.")
    package var formatChoicesMax = 1_024
    @Limit("Adapters that a request chooses; more are an INVALID_ARGUMENT.")
    package var adaptersMax = 16
    @Limit("The name of an adapter; a longer one is an INVALID_ARGUMENT.")
    package var adapterNameBytesMax = 64
    @Limit("Options for a backend; more are an INVALID_ARGUMENT.")
    package var backendOptionsMax = 64
    @Limit("All options for a backend together; more are an INVALID_ARGUMENT.")
    package var backendOptionsBytesMax = 16 * 1024
    @Limit("The shortest time between two reports of a waiting request's place in the queue.")
    package var queuePositionMilliseconds: UInt64 = 500

    package init() {}
}
