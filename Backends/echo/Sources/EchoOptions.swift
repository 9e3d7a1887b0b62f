import BackendKit

/// The `backend_options` of a request to echo, or those of its manifest that hold where a request does not say; README.md
/// describes each. Unknown keys are ignored.
struct EchoOptions {
    /// The form of a malformed frame.
    enum Malformation: String, CaseIterable {
        /// A frame of bytes that are no envelope.
        case envelope
        /// A length of 4 GiB.
        case length
        /// A length of 0.
        case zero
        /// A well-formed message at the wrong time.
        case hello
    }

    var delayMilliseconds: UInt64 = 0
    /// The time between two bursts; nil: as fast as possible.
    var periodNanoseconds: UInt64?
    /// Whether each sequence keeps a rhythm of its own instead of a common one.
    var spreads = false
    var burst = 1
    var crashAt: UInt64?
    var hangAt: UInt64?
    var silentAt: UInt64?
    var malformedAt: UInt64?
    var malformation = Malformation.envelope
    /// Tokens sent beyond the credit, once it is used up.
    var flood = 0
    var splitsScalars = false
    var repeatsPrompt = false
    var fault: EngineFault.Code?
    var faultAt: UInt64 = 0
    var endAt: UInt64?
    /// Each token's text is the time at which it was made.
    var stamps = false
    /// So many tokens at the beginning are reasoning.
    var reasoning: UInt64 = 0

    /// Whether something other than a token comes at this index.
    func isScripted(at index: UInt64) -> Bool {
        crashAt == index || hangAt == index || silentAt == index || malformedAt == index
    }

    init(_ options: [String: String]) throws(EngineFault) {
        for (key, value) in options {
            let option = Option(key: key, value: value)
            switch key {
            case "delay_ms": delayMilliseconds = try option.number(0...3_600_000)
            case "tokens_per_second": periodNanoseconds = try option.period()
            case "spread": spreads = try option.flag()
            case "burst": burst = Int(try option.number(1...65_536))
            case "crash_at": crashAt = try option.number()
            case "hang_at": hangAt = try option.number()
            case "silent_at": silentAt = try option.number()
            case "malformed_at": malformedAt = try option.number()
            case "malformed": malformation = try option.choice(Malformation.allCases, named: \.rawValue)
            case "flood": flood = Int(try option.number(0...1_000_000))
            case "split_scalars": splitsScalars = try option.flag()
            case "echo": repeatsPrompt = try option.flag()
            case "fault": fault = try option.faultCode()
            case "fault_at": faultAt = try option.number()
            case "end_at": endAt = try option.number()
            case "stamp": stamps = try option.flag()
            case "reasoning": reasoning = try option.number()
            default: continue
            }
        }
    }
}

/// One option, with functions that read its value.
struct Option {
    let key: String
    let value: String

    func number(_ range: ClosedRange<UInt64> = 0...UInt64.max) throws(EngineFault) -> UInt64 {
        guard let number = UInt64(value), range.contains(number) else {
            throw bad("a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func flag() throws(EngineFault) -> Bool {
        switch value {
        case "1", "true": return true
        case "0", "false": return false
        default: throw bad("0 or 1")
        }
    }

    /// A rate as the time between two bursts, in nanoseconds.
    func period() throws(EngineFault) -> UInt64 {
        guard let rate = Double(value), rate >= 0.001, rate <= 1_000_000 else {
            throw bad("a number from 0.001 to 1000000")
        }
        return UInt64(1e9 / rate)
    }

    func choice<Choice>(_ choices: [Choice], named name: (Choice) -> String) throws(EngineFault) -> Choice {
        guard let choice = choices.first(where: { name($0) == value }) else {
            throw bad("one of " + choices.map(name).joined(separator: ", "))
        }
        return choice
    }

    func faultCode() throws(EngineFault) -> EngineFault.Code {
        try choice(EngineFault.Code.allCases) { code in
            switch code {
            case .invalidArgument: "invalid_argument"
            case .contextOverflow: "context_overflow"
            case .unsupported: "unsupported"
            case .overloaded: "overloaded"
            case .internal: "internal"
            case .badModel: "bad_model"
            }
        }
    }

    private func bad(_ wanted: String) -> EngineFault {
        EngineFault(.invalidArgument, "the option \(key) is '\(value)'; it must be \(wanted)")
    }
}
