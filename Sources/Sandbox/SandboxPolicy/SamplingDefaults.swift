internal import StrictJSON

/// How tokens are chosen where a request leaves it open; the fields of `hearth.v1.Sampling`, but for the seed and the lists,
/// which would be added to those of a request. Nil: the backend's own value.
package struct SamplingDefaults: Equatable, Sendable {
    package var temperature: Float?
    package var topP: Float?
    package var topK: UInt32?
    package var minP: Float?
    package var frequencyPenalty: Float?
    package var presencePenalty: Float?
    package var repetitionPenalty: Float?
    package var penaltyWindow: UInt32?
    package var typicalP: Float?
    package var topNSigma: Float?
    package var xtcProbability: Float?
    package var xtcThreshold: Float?
    package var dryMultiplier: Float?
    package var dryBase: Float?
    package var dryAllowedLength: UInt32?
    package var dryWindow: UInt32?

    package init() {}

    /// Whether it has a field that only a backend with the capability "samplers" knows.
    package var needsSamplers: Bool {
        let floats = [typicalP, topNSigma, xtcProbability, xtcThreshold, dryMultiplier, dryBase]
        let numbers = [penaltyWindow, dryAllowedLength, dryWindow]
        return floats.contains { $0 != nil } || numbers.contains { $0 != nil }
    }

    private static let keys = [
        "temperature", "topP", "topK", "minP", "frequencyPenalty", "presencePenalty", "repetitionPenalty",
        "penaltyWindow", "typicalP", "topNSigma", "xtcProbability", "xtcThreshold", "dryMultiplier", "dryBase",
        "dryAllowedLength", "dryWindow",
    ]

    init(_ node: JSONNode, file: String) throws(SandboxPolicyError) {
        let entry = try JSONObjectReader(node, "\"sampling\"", keys: Self.keys, file: file)
        func number(_ key: String, _ range: SamplingRange) throws(JSONError) -> Float? {
            guard let node = entry.node(key) else { return nil }
            guard case .number(let text) = node.value, let value = Float(text), range.contains(value) else {
                throw entry.failure(key, "must be a number, \(range), not \(node.found)")
            }
            return value
        }
        temperature = try number("temperature", .temperature)
        topP = try number("topP", .topP)
        func count(_ key: String) throws(JSONError) -> UInt32? {
            try entry.integer(key, max: UInt64(UInt32.max)).map { UInt32($0) }
        }
        topK = try count("topK")
        minP = try number("minP", .minP)
        frequencyPenalty = try number("frequencyPenalty", .penalty)
        presencePenalty = try number("presencePenalty", .penalty)
        repetitionPenalty = try number("repetitionPenalty", .repetitionPenalty)
        penaltyWindow = try count("penaltyWindow")
        typicalP = try number("typicalP", .typicalP)
        topNSigma = try number("topNSigma", .topNSigma)
        xtcProbability = try number("xtcProbability", .xtcProbability)
        xtcThreshold = try number("xtcThreshold", .xtcThreshold)
        dryMultiplier = try number("dryMultiplier", .dryMultiplier)
        dryBase = try number("dryBase", .dryBase)
        dryAllowedLength = try count("dryAllowedLength")
        let lengths = SamplingRange.dryAllowedLength
        if let length = dryAllowedLength, !lengths.contains(length) {
            throw entry.failure(
                "dryAllowedLength",
                "must be a whole number, \(lengths.lowerBound) to \(lengths.upperBound), not \(length)")
        }
        dryWindow = try count("dryWindow")
    }
}

/// The values that a field of `hearth.v1.Sampling`, or an adapter's scale, may have, in a request and in a model's
/// settings.
package struct SamplingRange: Equatable, Sendable, CustomStringConvertible {
    private let range: ClosedRange<Float>
    private let isAboveZero: Bool

    package static let temperature = SamplingRange(range: 0...2, isAboveZero: false)
    package static let topP = SamplingRange(range: 0...1, isAboveZero: true)
    package static let minP = SamplingRange(range: 0...1, isAboveZero: false)
    /// Of the frequency and the presence penalty.
    package static let penalty = SamplingRange(range: -2...2, isAboveZero: false)
    package static let repetitionPenalty = SamplingRange(range: 0...10, isAboveZero: true)
    package static let typicalP = SamplingRange(range: 0...1, isAboveZero: true)
    package static let topNSigma = SamplingRange(range: 0...100, isAboveZero: false)
    package static let xtcProbability = SamplingRange(range: 0...1, isAboveZero: false)
    package static let xtcThreshold = SamplingRange(range: 0...0.5, isAboveZero: false)
    package static let dryMultiplier = SamplingRange(range: 0...10, isAboveZero: false)
    package static let dryBase = SamplingRange(range: 1...10, isAboveZero: false)
    package static let dryAllowedLength: ClosedRange<UInt32> = 1...65_536
    /// Of `hearth.v1.LogitBias.bias`.
    package static let logitBias = SamplingRange(range: -100...100, isAboveZero: false)

    /// Of `hearth.v1.Adapter.scale`.
    package static let adapterScale = SamplingRange(range: -10...10, isAboveZero: false)

    /// A NaN is in no range.
    package func contains(_ value: Float) -> Bool { range.contains(value) && !(isAboveZero && value == 0) }

    /// "0.0 to 2.0", "above 0.0 to 1.0".
    package var description: String { "\(isAboveZero ? "above " : "")\(range.lowerBound) to \(range.upperBound)" }
}
