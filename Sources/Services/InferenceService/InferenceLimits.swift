package import GRPC

/// What bounds the inference service. Each is a status when reached, never growth.
package struct InferenceLimits: Sendable, Equatable {
    /// Requests that wait for a sequence of one model; the next is refused with RESOURCE_EXHAUSTED.
    package var queuedRequestsMax = 1024
    /// Tokens that a backend may compute ahead of what its consumer has taken.
    package var creditTokens: UInt32 = 1024
    /// What is kept of a turn until its consumer takes it, in bytes and in events: the tokens of twice `creditTokens`, each
    /// an event of its own with as much text as the contract lets it have.
    package var turnBytesMax = 8 << 20
    package var turnEventsMax = 4_096
    /// A turn that stands still because its consumer has taken next to nothing for so long ends, if another waits for its
    /// sequence. A library of the consumer's may tell of nothing before half of its window was read, and 64 KiB are common.
    package var unreadMilliseconds: UInt64 = 60_000
    /// Less than this, taken in that time, is next to nothing.
    package var unreadBytesMin = 1_024
    /// How often that is looked at while one waits.
    package var unreadCheckMilliseconds: UInt64 = 1_000
    /// Turns on one stream of `Chat`.
    package var turnsPerStreamMax = 10_000
    /// A `ListModelsRequest`; a longer one ends RESOURCE_EXHAUSTED.
    package var listRequestBytesMax = 4 << 10
    /// Fields, or what costs as much, that are read of one request in one turn of the loop.
    package var requestStepsPerTurnMax = 4_096
    /// Fields of one request, those of its parts included.
    package var requestFieldsMax = 65_536
    package var requestIDBytesMax = 128
    package var modelBytesMax = 256
    package var promptTokenIDsMax = 1 << 20
    package var messagesMax = 4096
    package var stopStringsMax = 16
    package var stopStringBytesMax = 256
    package var stopTokenIDsMax = 64
    package var backendOptionsMax = 64
    package var backendOptionsBytesMax = 16 * 1024
    /// How often a waiting consumer hears of its place.
    package var queuePositionMilliseconds: UInt64 = 500

    package init() {}

    /// Every limit with its name, for the owner.
    package var named: [NamedLimit] {
        [
            NamedLimit(
                "queuedRequestsMax", queuedRequestsMax, counted: true,
                "Requests that wait for one model; the next one ends RESOURCE_EXHAUSTED."),
            NamedLimit("creditTokens", creditTokens, "Tokens computed ahead of what the consumer has taken."),
            NamedLimit(
                "turnBytesMax", turnBytesMax, counted: true,
                "Of a turn's events, until its consumer takes them; then the turn ends RESOURCE_EXHAUSTED."),
            NamedLimit(
                "turnEventsMax", turnEventsMax, counted: true,
                "Events of a turn, until its consumer takes them; then the turn ends RESOURCE_EXHAUSTED."),
            NamedLimit(
                "unreadMilliseconds", unreadMilliseconds, counted: true,
                "For a full stream to be read while another waits; then the turn ends RESOURCE_EXHAUSTED."),
            NamedLimit("unreadBytesMin", unreadBytesMin, "Fewer bytes read in that time count as none."),
            NamedLimit("unreadCheckMilliseconds", unreadCheckMilliseconds, "How often that is looked at."),
            NamedLimit(
                "turnsPerStreamMax", turnsPerStreamMax, counted: true,
                "Turns on one stream of Chat; then it ends RESOURCE_EXHAUSTED."),
            NamedLimit("listRequestBytesMax", listRequestBytesMax, "A request of ListModels; then RESOURCE_EXHAUSTED."),
            NamedLimit(
                "requestStepsPerTurnMax", requestStepsPerTurnMax,
                "Fields of a request, or as much text as costs the same, read before the others get their turn."),
            NamedLimit("requestFieldsMax", requestFieldsMax, "Fields of a request; more are an INVALID_ARGUMENT."),
            NamedLimit("requestIDBytesMax", requestIDBytesMax, "request_id; a longer one is an INVALID_ARGUMENT."),
            NamedLimit("modelBytesMax", modelBytesMax, "model; a longer one is an INVALID_ARGUMENT."),
            NamedLimit("promptTokenIDsMax", promptTokenIDsMax, "token_ids; more are an INVALID_ARGUMENT."),
            NamedLimit("messagesMax", messagesMax, "Messages of a prompt; more are an INVALID_ARGUMENT."),
            NamedLimit("stopStringsMax", stopStringsMax, "Stop strings; more are an INVALID_ARGUMENT."),
            NamedLimit("stopStringBytesMax", stopStringBytesMax, "Each of them; a longer one is an INVALID_ARGUMENT."),
            NamedLimit("stopTokenIDsMax", stopTokenIDsMax, "Stop tokens; more are an INVALID_ARGUMENT."),
            NamedLimit("backendOptionsMax", backendOptionsMax, "Options for a backend; more are an INVALID_ARGUMENT."),
            NamedLimit("backendOptionsBytesMax", backendOptionsBytesMax, "All of them; more are an INVALID_ARGUMENT."),
            NamedLimit(
                "queuePositionMilliseconds", queuePositionMilliseconds, "How often who waits hears of its place."),
        ]
    }
}
