package import InferenceMessages
internal import StrictJSON
internal import SwiftProtobuf

/// A parameter that `/set` sets, named as in hearth.v1. One that is not set has the model's default.
package enum ChatParameter: String, CaseIterable, Sendable {
    case temperature
    case topP = "top_p"
    case topK = "top_k"
    case minP = "min_p"
    case repetitionPenalty = "repetition_penalty"
    case frequencyPenalty = "frequency_penalty"
    case presencePenalty = "presence_penalty"
    case penaltyWindow = "penalty_window"
    case typicalP = "typical_p"
    case topNSigma = "top_n_sigma"
    case xtcProbability = "xtc_probability"
    case xtcThreshold = "xtc_threshold"
    case dryMultiplier = "dry_multiplier"
    case dryBase = "dry_base"
    case dryAllowedLength = "dry_allowed_length"
    case dryWindow = "dry_window"
    case seed
    case minTokens = "min_tokens"
    case maxTokens = "max_tokens"

    package struct Mistake: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    package static var names: [String] { allCases.map(\.rawValue) }

    package init(named name: String) throws(Mistake) {
        guard let known = Self(rawValue: name) else {
            let hint = NearestName.hint(for: name, among: Self.names)
            throw Mistake(description: "there is no '\(name)'\(hint); there are \(Self.names.joined(separator: ", "))")
        }
        self = known
    }

    /// The range of its values, in words.
    package var meaning: String {
        switch self {
        case .temperature: "0 to 2; 0 always takes the likeliest token"
        case .topP: "above 0, up to 1: keep the likeliest tokens that add up to this"
        case .topK: "keep this many of the likeliest tokens; 0 keeps all"
        case .minP: "0 to 1: drop tokens less likely than this part of the likeliest"
        case .repetitionPenalty: "above 0, up to 10; 1 changes nothing"
        case .frequencyPenalty, .presencePenalty: "-2 to 2"
        case .penaltyWindow: "how many of the last tokens penalties look back over; 0: none"
        case .typicalP: "above 0, up to 1: keep the most typical tokens that add up to this"
        case .topNSigma: "0 to 100: drop tokens so many standard deviations below the likeliest; 0 keeps all"
        case .xtcProbability: "0 to 1: how often the likeliest tokens are left out"
        case .xtcThreshold: "0 to 0.5: how likely the tokens are that are left out"
        case .dryMultiplier: "0 to 10: how strongly repetitions are penalized; 0: not at all"
        case .dryBase: "1 to 10: how much more each further token of a repetition is penalized"
        case .dryAllowedLength: "1 to 65536: the longest repetition that is not penalized"
        case .dryWindow: "in how many of the last tokens repetitions are looked for; 0: none"
        case .seed: "a whole number: the same one gives the same answer"
        case .minTokens: "the shortest answer"
        case .maxTokens: "1 or more: the longest answer"
        }
    }

    /// Sets the parameter in a request; nil: the model's default.
    package func set(_ text: String?, in request: inout Hearth_V1_GenerateRequest) throws(Mistake) {
        let value = text.flatMap(Float.init)
        let whole = text.flatMap(UInt64.init)
        func number(_ isFit: (Float) -> Bool) throws(Mistake) -> Float {
            guard let value, value.isFinite, isFit(value) else { throw refusal(of: text) }
            return value
        }
        func count(_ isFit: (UInt32) -> Bool) throws(Mistake) -> UInt32 {
            guard let whole, let count = UInt32(exactly: whole), isFit(count) else { throw refusal(of: text) }
            return count
        }
        guard text != nil else { return clear(in: &request) }
        switch self {
        case .temperature: request.sampling.temperature = try number { (0...2).contains($0) }
        case .topP: request.sampling.topP = try number { $0 > 0 && $0 <= 1 }
        case .topK: request.sampling.topK = try count { _ in true }
        case .minP: request.sampling.minP = try number { (0...1).contains($0) }
        case .repetitionPenalty: request.sampling.repetitionPenalty = try number { $0 > 0 && $0 <= 10 }
        case .frequencyPenalty: request.sampling.frequencyPenalty = try number { (-2...2).contains($0) }
        case .presencePenalty: request.sampling.presencePenalty = try number { (-2...2).contains($0) }
        case .penaltyWindow: request.sampling.penaltyWindow = try count { _ in true }
        case .typicalP: request.sampling.typicalP = try number { $0 > 0 && $0 <= 1 }
        case .topNSigma: request.sampling.topNSigma = try number { (0...100).contains($0) }
        case .xtcProbability: request.sampling.xtcProbability = try number { (0...1).contains($0) }
        case .xtcThreshold: request.sampling.xtcThreshold = try number { (0...0.5).contains($0) }
        case .dryMultiplier: request.sampling.dryMultiplier = try number { (0...10).contains($0) }
        case .dryBase: request.sampling.dryBase = try number { (1...10).contains($0) }
        case .dryAllowedLength: request.sampling.dryAllowedLength = try count { (1...65_536).contains($0) }
        case .dryWindow: request.sampling.dryWindow = try count { _ in true }
        case .seed:
            guard let whole else { throw refusal(of: text) }
            request.sampling.seed = whole
        case .minTokens: request.stopping.minTokens = try count { _ in true }
        case .maxTokens: request.stopping.maxTokens = try count { $0 > 0 }
        }
    }

    /// The value in a request, as text; nil: it is not set.
    package func value(in request: Hearth_V1_GenerateRequest) -> String? {
        let (sampling, stopping) = (request.sampling, request.stopping)
        return switch self {
        case .temperature: sampling.hasTemperature ? "\(sampling.temperature)" : nil
        case .topP: sampling.hasTopP ? "\(sampling.topP)" : nil
        case .topK: sampling.hasTopK ? "\(sampling.topK)" : nil
        case .minP: sampling.hasMinP ? "\(sampling.minP)" : nil
        case .repetitionPenalty: sampling.hasRepetitionPenalty ? "\(sampling.repetitionPenalty)" : nil
        case .frequencyPenalty: sampling.hasFrequencyPenalty ? "\(sampling.frequencyPenalty)" : nil
        case .presencePenalty: sampling.hasPresencePenalty ? "\(sampling.presencePenalty)" : nil
        case .penaltyWindow: sampling.hasPenaltyWindow ? "\(sampling.penaltyWindow)" : nil
        case .typicalP: sampling.hasTypicalP ? "\(sampling.typicalP)" : nil
        case .topNSigma: sampling.hasTopNSigma ? "\(sampling.topNSigma)" : nil
        case .xtcProbability: sampling.hasXtcProbability ? "\(sampling.xtcProbability)" : nil
        case .xtcThreshold: sampling.hasXtcThreshold ? "\(sampling.xtcThreshold)" : nil
        case .dryMultiplier: sampling.hasDryMultiplier ? "\(sampling.dryMultiplier)" : nil
        case .dryBase: sampling.hasDryBase ? "\(sampling.dryBase)" : nil
        case .dryAllowedLength: sampling.hasDryAllowedLength ? "\(sampling.dryAllowedLength)" : nil
        case .dryWindow: sampling.hasDryWindow ? "\(sampling.dryWindow)" : nil
        case .seed: sampling.hasSeed ? "\(sampling.seed)" : nil
        case .minTokens: stopping.hasMinTokens ? "\(stopping.minTokens)" : nil
        case .maxTokens: stopping.hasMaxTokens ? "\(stopping.maxTokens)" : nil
        }
    }

    private func clear(in request: inout Hearth_V1_GenerateRequest) {
        switch self {
        case .temperature: request.sampling.clearTemperature()
        case .topP: request.sampling.clearTopP()
        case .topK: request.sampling.clearTopK()
        case .minP: request.sampling.clearMinP()
        case .repetitionPenalty: request.sampling.clearRepetitionPenalty()
        case .frequencyPenalty: request.sampling.clearFrequencyPenalty()
        case .presencePenalty: request.sampling.clearPresencePenalty()
        case .penaltyWindow: request.sampling.clearPenaltyWindow()
        case .typicalP: request.sampling.clearTypicalP()
        case .topNSigma: request.sampling.clearTopNSigma()
        case .xtcProbability: request.sampling.clearXtcProbability()
        case .xtcThreshold: request.sampling.clearXtcThreshold()
        case .dryMultiplier: request.sampling.clearDryMultiplier()
        case .dryBase: request.sampling.clearDryBase()
        case .dryAllowedLength: request.sampling.clearDryAllowedLength()
        case .dryWindow: request.sampling.clearDryWindow()
        case .seed: request.sampling.clearSeed()
        case .minTokens: request.stopping.clearMinTokens()
        case .maxTokens: request.stopping.clearMaxTokens()
        }
    }

    private func refusal(of text: String?) -> Mistake {
        Mistake(description: "\(rawValue) cannot be '\(text ?? "")': \(meaning)")
    }
}
