import FoundationEssentials
import InferenceMessages
import SeededRandom
import SwiftProtobuf

// Generated messages with random content, for the comparison with the hand-written codecs.
extension SeededRandom {
    mutating func agentEnvelope(body: Int) -> Hearth_Backend_V1_AgentEnvelope {
        .with { envelope in
            switch body {
            case 1:
                envelope.welcome = .with {
                    $0.revision = number32()
                    $0.maxFrameBytes = number32()
                    $0.pingIntervalMilliseconds = number32()
                }
            case 2:
                envelope.reject = .with {
                    $0.reason = text()
                    $0.minRevision = number32()
                    $0.maxRevision = number32()
                }
            case 3: envelope.load = load()
            case 4:
                envelope.start = .with {
                    $0.sequence = number32()
                    $0.credit = number32()
                    $0.request = request()
                    if chance() { $0.cacheScope = .init(bytes()) }
                }
            case 5:
                envelope.credit = .with {
                    $0.sequence = number32()
                    $0.tokens = number32()
                }
            case 6: envelope.cancel = .with { $0.sequence = number32() }
            case 7:
                envelope.countTokens = .with {
                    $0.query = number32()
                    $0.request = request()
                }
            case 8: envelope.ping = .with { $0.nonce = number() }
            case 9: envelope.shutdown = .with { $0.graceMilliseconds = number32() }
            case 11:
                envelope.embed = .with {
                    $0.query = number32()
                    if chance() { $0.embed = embedRequest() } else { $0.rerank = rerankRequest() }
                }
            case 12: envelope.cancelEmbed = .with { $0.query = number32() }
            default:
                envelope.tokenize = .with {
                    $0.query = number32()
                    $0.request = request()
                    $0.wantsText = chance()
                }
            }
        }
    }

    private mutating func load() -> Hearth_Backend_V1_Load {
        .with { load in
            load.model = text()
            if chance() { load.weightsDescriptor = number32() }
            load.weightsBytes = number()
            load.contextTokens = number32()
            load.maxSequences = number32()
            load.threads = number32()
            for _ in 0..<Int.random(in: 0..<4, using: &self) { load.options[text()] = text() }
            load.furtherWeightsDescriptors = (0..<Int.random(in: 0..<4, using: &self)).map { _ in number32() }
            if chance() { load.chatTemplate = text() }
            load.inspectOnly = chance()
            load.adapters = (0..<Int.random(in: 0..<3, using: &self)).map { _ in
                .with {
                    $0.name = text()
                    $0.descriptor = number32()
                    $0.scale = Float.random(in: -10...10, using: &self)
                    $0.isDefault = chance()
                }
            }
            load.draftLookup = chance()
            if chance() { load.draftWeightsDescriptor = number32() }
        }
    }

    private mutating func request() -> Hearth_V1_GenerateRequest {
        .with { request in
            request.requestID = text()
            request.text = text()
            if chance() { request.backendOptions[text()] = text() }
        }
    }

    private mutating func embedRequest() -> Hearth_V1_EmbedRequest {
        .with { request in
            request.model = text()
            request.inputs = (0..<Int.random(in: 0..<4, using: &self)).map { _ in .with { $0.text = text() } }
            if chance() { request.dimensions = number32() }
            request.truncate = chance()
        }
    }

    private mutating func rerankRequest() -> Hearth_V1_RerankRequest {
        .with { request in
            request.query = text()
            request.documents = (0..<Int.random(in: 0..<4, using: &self)).map { _ in text() }
        }
    }

    mutating func backendEnvelope(body: Int) -> Hearth_Backend_V1_BackendEnvelope {
        .with { envelope in
            switch body {
            case 1:
                envelope.hello = .with { hello in
                    hello.minRevision = number32()
                    hello.maxRevision = number32()
                    hello.name = text()
                    hello.version = text()
                    hello.capabilities = (0..<Int.random(in: 0..<4, using: &self)).map { _ in text() }
                }
            case 2: envelope.loadProgress = .with { $0.fraction = Float.random(in: 0...1, using: &self) }
            case 3:
                envelope.loaded = .with {
                    $0.maxContextTokens = number32()
                    $0.maxSequences = number32()
                    if chance() { $0.embeddingDimensions = number32() }
                    $0.lacking = (0..<Int.random(in: 0..<3, using: &self)).map { _ in text() }
                    if chance() {
                        $0.samplingDefaults = .with {
                            $0.temperature = Float.random(in: 0...2, using: &self)
                            $0.topK = number32()
                            if chance() { $0.drySequenceBreakers.texts = [text()] }
                        }
                    }
                }
            case 4:
                envelope.tokens = .with { batch in
                    batch.runs = (0..<Int.random(in: 0..<4, using: &self)).map { _ in run() }
                }
            case 5:
                envelope.tokenCount = .with {
                    $0.query = number32()
                    if chance() { $0.tokens = number32() } else { $0.fault = fault() }
                }
            case 6:
                envelope.pong = .with {
                    $0.nonce = number()
                    $0.steps = number()
                    $0.tokens = number()
                    $0.sequences = number32()
                }
            case 7: envelope.fatal = fault()
            case 8: envelope.inspected = inspected()
            case 10:
                envelope.embedded = .with {
                    $0.query = number32()
                    if chance() { $0.fault = fault() }
                    let count = Int.random(in: 0..<4, using: &self)
                    $0.values = (0..<count * 3).map { _ in Float.random(in: -2...2, using: &self) }
                    $0.tokens = (0..<count).map { _ in number32() }
                    if chance() { $0.leftOutTokens = (0..<count).map { _ in number32() } }
                }
            default:
                envelope.tokenized = .with {
                    $0.query = number32()
                    switch Int.random(in: 0..<3, using: &self) {
                    case 0: $0.tokens.tokens = (0..<Int.random(in: 0..<4, using: &self)).map { _ in token() }
                    case 1: $0.text = .init(bytes())
                    default: $0.fault = fault()
                    }
                }
            }
        }
    }

    private mutating func token() -> Hearth_V1_Token {
        .with {
            $0.id = number32()
            $0.text = .init(bytes())
        }
    }

    mutating func run() -> Hearth_Backend_V1_TokenRun {
        .with { run in
            run.sequence = number32()
            run.tokenIds = (0..<Int.random(in: 0..<6, using: &self)).map { _ in number32() }
            run.text = .init(bytes())
            run.reasoning = .init(bytes())
            if chance(), !run.tokenIds.isEmpty { run.logprobs = logprobs(of: run.tokenIds) }
            if chance() {
                run.toolCalls.pieces = (0..<Int.random(in: 1..<4, using: &self)).map { _ in toolCallPiece() }
            }
            guard chance() else { return }
            run.finish = .with { finish in
                if chance() {
                    finish.reason = [.stop, .length, .cancelled].randomElement(using: &self) ?? .stop
                } else {
                    finish.fault = fault()
                }
                if chance() { finish.stopTokenID = number32() }
                if chance() { finish.stop = number32() }
                finish.promptTokens = number32()
                finish.cachedPromptTokens = number32()
                finish.draftedTokens = number32()
                finish.acceptedDraftTokens = number32()
            }
        }
    }

    private mutating func toolCallPiece() -> Hearth_V1_ToolCallPiece {
        .with {
            $0.index = number32()
            $0.id = text()
            $0.name = text()
            $0.arguments = text()
        }
    }

    private mutating func logprobs(of ids: [UInt32]) -> Hearth_V1_Logprobs {
        .with {
            $0.tokens = ids.map { id in
                .with {
                    $0.tokenID = id
                    $0.text = .init(bytes().prefix(128))
                    $0.logprob = -Float.random(in: 0...30, using: &self)
                    var logprob: Float = 0
                    for _ in 0..<Int.random(in: 0..<4, using: &self) {
                        logprob -= Float.random(in: 0...5, using: &self)
                        $0.alternatives.append(
                            .with {
                                $0.tokenID = number32()
                                $0.text = .init(text().utf8.prefix(128))
                                $0.logprob = logprob
                            })
                    }
                }
            }
        }
    }

    private mutating func inspected() -> Hearth_Backend_V1_Inspected {
        .with {
            $0.contextTokens = number32()
            $0.maxSequences = number32()
            $0.memoryBytes = number()
            $0.contextBytes = number()
            $0.copiedWeightsBytes = number()
            $0.architecture = text()
            $0.name = text()
            $0.parameters = number()
            $0.quantisation = text()
            $0.trainedContextTokens = number32()
            $0.licence = text()
            $0.hasChatTemplate_p = chance()
            $0.templateFlaw = text()
            $0.cacheTokens = number()
        }
    }

    private mutating func fault() -> Hearth_Backend_V1_Fault {
        .with {
            $0.code = Hearth_Backend_V1_Fault.Code(rawValue: Int.random(in: 1...6, using: &self)) ?? .internal
            $0.message = text()
        }
    }

    /// Fields that no message of the contract has, of every wire type.
    mutating func unknownFields() -> [UInt8] {
        // Field 1000: a varint, 8 bytes, a string, 4 bytes.
        let choices: [[UInt8]] = [
            [0xc0, 0x3e, 0x96, 0x01], [0xc1, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8], [0xc2, 0x3e, 3, 1, 2, 3],
            [0xc5, 0x3e, 1, 2, 3, 4],
        ]
        return choices.randomElement(using: &self) ?? []
    }
}
