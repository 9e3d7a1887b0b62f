/// A numbered clause of the contract between the agent and a backend. `Docs/backend-contract.md` has the same numbers and
/// texts, and says which of them the agent can check; a `ContractViolation` carries the number of the one that was broken.
/// A number is never given to another clause.
package enum ContractClause: String, CaseIterable, Sendable {
    case frameLength = "1.1"
    case oneBody = "1.2"
    case wireFormat = "1.3"
    case unknownFields = "1.4"
    case messageLength = "1.5"

    case helloFirst = "2.1"
    case helloInTime = "2.2"
    case revisions = "2.3"
    case helloFields = "2.4"
    case capabilities = "2.5"
    case commonRevision = "2.6"
    case laterFields = "2.7"

    case messageInTurn = "3.1"
    case loadProgress = "3.2"
    case loadedBounds = "3.3"
    case loadedOffer = "3.4"
    case inspected = "3.5"
    case loadedInTime = "3.6"

    case runningSequence = "4.1"
    case noEmptyRun = "4.2"
    case credit = "4.3"
    case maxTokens = "4.4"
    case context = "4.5"
    case textLength = "4.6"
    case reasoning = "4.7"
    case logprobs = "4.8"
    case toolCalls = "4.9"
    case oneFinish = "4.10"
    case cacheScope = "4.11"
    case continuation = "4.12"

    case finishReason = "5.1"
    case cancelled = "5.2"
    case length = "5.3"
    case stopToken = "5.4"
    case stopString = "5.5"
    case counts = "5.6"
    case fault = "5.7"
    case cancelInTime = "5.8"

    case openQuery = "6.1"
    case tokenizedBounds = "6.2"
    case embeddedShape = "6.3"

    case pongOrder = "7.1"
    case pongCounts = "7.2"
    case pongInTime = "7.3"
    case progress = "7.4"

    case shutdownInTime = "8.1"
    case endOfStream = "8.2"

    /// The number, such as "4.3".
    package var number: String { rawValue }

    /// What a sentence about a violation ends with.
    package var mark: String { " (clause \(number))" }

    /// The clause, as a sentence about the backend.
    package var text: String {
        switch self {
        case .frameLength:
            "A frame's length is at least 1 and at most the frame limit in force."
        case .oneBody: "An envelope holds exactly one message that the revision in force knows."
        case .wireFormat: "A message is well-formed protobuf of proto3, and holds no field twice that may occur once."
        case .unknownFields:
            "Unknown fields take at most 1,024 bytes of an envelope, of a batch, and of a run for each"
                + " token and finish; a Finish has at most 4,096 bytes."
        case .messageLength:
            "A message that is no TokenBatch, no Tokenized and no Embedded has at most 4,096 bytes."
        case .helloFirst: "The first message is Hello, and no second one follows."
        case .helloInTime: "Hello comes within 10 seconds of the start of the process."
        case .revisions: "The revisions that Hello names begin at 1 or later, and the lowest is not above the highest."
        case .helloFields:
            "Hello.name is 1 to 64 letters, digits, '.', '_' or '-', and Hello.version has at most 64 bytes."
        case .capabilities: "Hello.capabilities holds at most 32 names of 1 to 64 bytes, and none of them twice."
        case .commonRevision: "The revisions of Hello and those of the agent have one in common."
        case .laterFields: "A field that it does not know changes nothing."
        case .messageInTurn: "A message comes only in the phase of the conversation that it belongs to."
        case .loadProgress: "LoadProgress holds a fraction from 0 to 1, and comes at most ten times a second."
        case .loadedBounds: "Loaded offers at least 1 token and 1 sequence, and at most what Load names of each."
        case .loadedOffer:
            "Loaded.sampling_defaults, lacking and embedding_dimensions keep to their limits in backend.proto."
        case .inspected:
            "Inspected names memory, a context and sequences of at least 1, within what Load names, and short texts."
        case .loadedInTime: "Loaded comes within the load time of the backend's manifest."
        case .runningSequence: "A TokenRun names a sequence that was begun and has not finished."
        case .noEmptyRun: "A batch holds at least one run, and a run without finish at least one token."
        case .credit: "The tokens of a run are never more than the credit that its sequence has left."
        case .maxTokens: "A sequence gets at most stopping.max_tokens tokens."
        case .context: "The prompt and the completion together fit in Loaded.max_context_tokens."
        case .textLength: "A run has at most 1,024 bytes of text for each token, and 16 KiB more with its finish."
        case .reasoning: "Reasoning comes only from a backend with the capability \"reasoning\"."
        case .logprobs:
            "Log-probabilities come where they were asked for, one valid entry for each token, and only there."
        case .toolCalls: "Tool calls come where they were asked for, in order, whole, with names of the request."
        case .oneFinish: "Every Start is answered with exactly one TokenRun that carries a finish."
        case .cacheScope: "State that was computed for one cache scope is never used for another."
        case .continuation:
            "A continued sequence sends nothing that Start names as sent, and goes on as the uninterrupted one"
                + " would."
        case .finishReason: "A finish holds a reason or a fault that the revision in force knows."
        case .cancelled: "FINISH_REASON_CANCELLED comes only after Cancel or Shutdown."
        case .length: "FINISH_REASON_LENGTH comes only at stopping.max_tokens or at the end of the context."
        case .stopToken: "A stop_token_id is one of the request's, and comes with FINISH_REASON_STOP."
        case .stopString: "A stop is one of the request's, with FINISH_REASON_STOP alone, and with \"stop_strings\"."
        case .counts:
            "Cached prompt tokens are at most the prompt's, and accepted drafts at most those drafted and sent."
        case .fault: "The message of a Fault has at most 1,024 bytes."
        case .cancelInTime: "After Cancel or CancelEmbed its computation stops within one step."
        case .openQuery: "A TokenCount, Tokenized or Embedded answers a query that is open."
        case .tokenizedBounds:
            "A TokenCount or Tokenized holds what was asked for, or a fault, within the limits of its bytes."
        case .embeddedShape:
            "An Embedded holds the numbers of every input, all finite, and counts of tokens within the"
                + " context; or a fault."
        case .pongOrder: "A Pong answers the oldest Ping that has no answer."
        case .pongCounts: "Pong.steps and Pong.tokens never decrease, and Pong.sequences is at most what was offered."
        case .pongInTime: "No Ping stays without an answer for three intervals."
        case .progress:
            "While a sequence has credit or was cancelled, or an Embed is open, Pong.steps rises within the stall time."
        case .shutdownInTime: "After Shutdown the process ends within the grace."
        case .endOfStream: "The process ends once either end has closed the socket."
        }
    }

    /// Why the agent reports no violation of it, as a sentence; nil: it does.
    package var whyUnchecked: String? {
        switch self {
        case .laterFields: "The agent sends no such field; an agent of a later revision may."
        case .oneFinish:
            "A second finish breaks 4.1; one that is missing shows as 7.4, or is waited for without credit."
        case .cacheScope: "The agent does not see the backend's caches; only times and counts tell."
        case .continuation: "The agent knows only what came, and not what would have come."
        case .cancelInTime: "The agent does not know how long a step takes; one that never stops shows as 7.4."
        default: nil
        }
    }

    /// Whether `hearth backends check` can try it: "yes", or what that depends on.
    package var trial: String {
        switch self {
        case .loadProgress: "if it sends one"
        case .inspected: "with \"inspect\" and weights"
        case .reasoning: "without \"reasoning\""
        case .cacheScope: "as far as it counts cached tokens"
        case .continuation: "with \"continue\""
        case .stopToken, .stopString: "if the same request gives the same tokens"
        case .fault: "if it fails a request"
        case .openQuery, .tokenizedBounds: "with \"count_tokens\" or \"tokenize\""
        case .embeddedShape: "with \"embed\" or \"rerank\""
        default: "yes"
        }
    }
}
