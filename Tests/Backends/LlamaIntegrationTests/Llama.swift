import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import SwiftProtobuf
import TestPlaces

// The built backend `llama`, and requests as a consumer's generated code writes them.
extension BackendDriver {
    /// A process with a file of weights, which it has loaded.
    static func llama(
        weights: String = Repository.demoModel, contextTokens: UInt32 = 0, maxSequences: UInt32 = 16,
        dataMebibytes: UInt64? = nil, options: [String: String] = [:]
    ) throws -> BackendDriver {
        let backend = try unloadedLlama(weights: weights, dataMebibytes: dataMebibytes)
        try backend.load(model: "demo", contextTokens: contextTokens, maxSequences: maxSequences, options: options)
        return backend
    }

    /// A process with a file of weights, which has not been asked for anything yet.
    static func unloadedLlama(
        weights: String = Repository.demoModel, dataMebibytes: UInt64? = nil, adapters: [BackendProgram.Adapter] = [],
        draft: String? = nil
    ) throws -> BackendDriver {
        var program = BackendProgram(path: Built.path("llama"))
        program.weights = weights
        program.dataMebibytes = dataMebibytes
        program.adapters = adapters
        program.draft = draft
        program.isQuiet = true
        return try BackendDriver(program, patienceMilliseconds: 60_000)
    }

    func start(
        _ sequence: UInt32, _ request: Hearth_V1_GenerateRequest, credit: UInt32 = 1_000_000, scope: [UInt8] = []
    ) throws {
        let request: [UInt8] = try request.serializedBytes()
        try start(sequence, request, credit: credit, scope: scope)
    }

    /// One request on its own, from its start to its finish.
    func complete(
        _ request: Hearth_V1_GenerateRequest, as sequence: UInt32 = 0, scope: [UInt8] = []
    ) throws -> Completion {
        try start(sequence, request, scope: scope)
        return try finish(sequence)
    }

    /// The tokens of a prompt, and their texts.
    func tokens(of request: Hearth_V1_GenerateRequest) throws -> [Hearth_V1_Token] {
        let request: [UInt8] = try request.serializedBytes()
        return try Hearth_V1_TokenizeResponse(serializedBytes: try tokens(of: request).get()).tokens
    }

    /// The text that a prompt becomes.
    func text(of request: Hearth_V1_GenerateRequest) throws -> String {
        let request: [UInt8] = try request.serializedBytes()
        return String(decoding: try text(of: request).get(), as: UTF8.self)
    }

    func countTokens(_ request: Hearth_V1_GenerateRequest) throws -> Result<UInt32, Fault> {
        let request: [UInt8] = try request.serializedBytes()
        return try countTokens(request)
    }

    /// Waits until so many tokens of a sequence have come.
    func listen(toTokens count: Int, of sequence: UInt32) throws {
        try listen { ($0.completions[sequence]?.tokens.count ?? 0) >= count }
    }
}
