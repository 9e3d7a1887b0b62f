/// A number as JSON writes it, by its decimal digits.
struct Decimal: Equatable {
    var isNegative = false
    /// Without zeros at the beginning; empty for 0.
    var whole: [UInt8] = []
    /// Without zeros at the end.
    var fraction: [UInt8] = []

    static let zero = Decimal()

    var isZero: Bool { whole.isEmpty && fraction.isEmpty }
    var isWhole: Bool { fraction.isEmpty }

    /// Nil where an exponent makes it very long.
    init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        if rest.first == UInt8(ascii: "-") {
            isNegative = true
            rest = rest.dropFirst()
        }
        func digits(_ bytes: ArraySlice<UInt8>) -> [UInt8] { bytes.map { $0 - UInt8(ascii: "0") } }
        let mantissa = rest.prefix { $0 != UInt8(ascii: "e") && $0 != UInt8(ascii: "E") }
        let exponent = Int(String(decoding: rest[mantissa.endIndex...].dropFirst(), as: UTF8.self)) ?? 0
        guard exponent.magnitude <= 64 else { return nil }
        let point = mantissa.firstIndex(of: UInt8(ascii: ".")) ?? mantissa.endIndex
        whole = digits(mantissa[..<point])
        fraction = digits(mantissa[point...].dropFirst())
        for _ in 0..<max(0, exponent) { whole.append(fraction.isEmpty ? 0 : fraction.removeFirst()) }
        for _ in 0..<max(0, -exponent) { fraction.insert(whole.popLast() ?? 0, at: 0) }
        whole = Array(whole.drop { $0 == 0 })
        while fraction.last == 0 { fraction.removeLast() }
        if isZero { isNegative = false }
    }

    init(isNegative: Bool = false, whole: [UInt8] = [], fraction: [UInt8] = []) {
        self.isNegative = isNegative
        self.whole = whole
        self.fraction = fraction
    }

    var negated: Decimal { Decimal(isNegative: !isNegative && !isZero, whole: whole, fraction: fraction) }

    static func < (left: Decimal, right: Decimal) -> Bool {
        if left.isNegative != right.isNegative { return left.isNegative }
        let (small, large) = left.isNegative ? (right, left) : (left, right)
        if small.whole.count != large.whole.count { return small.whole.count < large.whole.count }
        if small.whole != large.whole { return small.whole.lexicographicallyPrecedes(large.whole) }
        return small.fraction.lexicographicallyPrecedes(large.fraction)
    }

    static func <= (left: Decimal, right: Decimal) -> Bool { !(right < left) }
}

/// A range of numbers, and the grammar of those that lie in it.
struct NumberRange {
    struct Bound {
        var value: Decimal
        var isExcluded: Bool
    }

    /// Numbers have no more digits before the point: a double holds so many exactly.
    static let wholeDigitsMax = 15
    /// Numbers within bounds have no more digits behind the point, or one more than their bounds.
    static let fractionDigitsUsual = 6

    private(set) var low: Bound?
    private(set) var high: Bound?

    mutating func restrict(from value: Decimal, isExcluded: Bool) {
        if let low, value < low.value || (value == low.value && low.isExcluded) { return }
        low = Bound(value: value, isExcluded: isExcluded)
    }

    mutating func restrict(to value: Decimal, isExcluded: Bool) {
        if let high, high.value < value || (value == high.value && high.isExcluded) { return }
        high = Bound(value: value, isExcluded: isExcluded)
    }

    func contains(_ value: Decimal) -> Bool {
        if let low, value < low.value || (value == low.value && low.isExcluded) { return false }
        if let high, high.value < value || (value == high.value && high.isExcluded) { return false }
        return true
    }

    /// The body of a rule of the numbers that lie in it, whole ones only or all; nil where there is none. Throws where its
    /// bounds have too many digits.
    func body(isWhole: Bool) throws(GrammarError) -> String? {
        for bound in [low, high].compactMap({ $0 }) where bound.value.fraction.count > 14 {
            throw GrammarError("has too many digits behind the point; at most 14 can be held")
        }
        var alternatives: [String] = []
        let none = Bound(value: .zero, isExcluded: false)
        // From zero on.
        if high.map({ !$0.value.isNegative }) ?? true {
            let from = low.flatMap { $0.value.isNegative ? nil : $0 } ?? none
            if let part = Self.positive(from, high, isWhole: isWhole) { alternatives.append(part) }
        }
        // Below zero, by what is behind the sign.
        if low.map({ $0.value.isNegative }) ?? true {
            func turned(_ bound: Bound) -> Bound { Bound(value: bound.value.negated, isExcluded: bound.isExcluded) }
            let from = high.flatMap { $0.value.isNegative ? turned($0) : nil } ?? Bound(value: .zero, isExcluded: true)
            if let part = Self.positive(from, low.map(turned), isWhole: isWhole) {
                alternatives.append("\"-\" ( \(part) )")
            }
        }
        return alternatives.isEmpty ? nil : alternatives.joined(separator: " | ")
    }

    /// The numbers of at least 0 from one bound to another; nil: up to the most digits.
    private static func positive(_ from: Bound, _ to: Bound?, isWhole: Bool) -> String? {
        let most = Bound(
            value: Decimal(whole: Array(repeating: 9, count: wholeDigitsMax)), isExcluded: false)
        var to = to ?? most
        if most.value < to.value { to = most }
        if to.value < from.value || (to.value == from.value && (to.isExcluded || from.isExcluded)) { return nil }
        var low = from.value.whole
        var high = to.value.whole
        if isWhole {
            // The first and the last whole number.
            if !from.value.isWhole || from.isExcluded { low = incremented(low) }
            if to.value.isWhole, to.isExcluded {
                guard let before = decremented(high) else { return nil }
                high = before
            }
            return whole(low, high)
        }
        let digits = max(fractionDigitsUsual, from.value.fraction.count + 1, to.value.fraction.count + 1)
        if low == high {
            return joined(
                whole(low, high),
                fraction(
                    Rest(digits: from.value.fraction, isExcluded: from.isExcluded),
                    Rest(digits: to.value.fraction, isExcluded: to.isExcluded), digits))
        }
        var alternatives: [String] = []
        func add(_ whole: String?, _ fraction: String?) {
            if let part = joined(whole, fraction) { alternatives.append(part) }
        }
        add(
            whole(low, low), fraction(Rest(digits: from.value.fraction, isExcluded: from.isExcluded), nil, digits))
        if let before = decremented(high) { add(whole(incremented(low), before), fraction(nil, nil, digits)) }
        add(whole(high, high), fraction(nil, Rest(digits: to.value.fraction, isExcluded: to.isExcluded), digits))
        return alternatives.isEmpty ? nil : alternatives.joined(separator: " | ")
    }

    private static func joined(_ whole: String?, _ fraction: String?) -> String? {
        guard let whole, let fraction else { return nil }
        return "( \(whole) ) \(fraction)"
    }

    private static func incremented(_ digits: [UInt8]) -> [UInt8] {
        var result = digits
        for place in result.indices.reversed() {
            if result[place] < 9 {
                result[place] += 1
                return result
            }
            result[place] = 0
        }
        return [1] + result
    }

    private static func decremented(_ digits: [UInt8]) -> [UInt8]? {
        guard !digits.isEmpty else { return nil }
        var result = digits
        for place in result.indices.reversed() {
            if result[place] > 0 {
                result[place] -= 1
                break
            }
            result[place] = 9
        }
        return Array(result.drop { $0 == 0 })
    }

    // MARK: Digits

    /// The whole numbers from one to another, which are given by their digits; nil where there is none.
    private static func whole(_ low: [UInt8], _ high: [UInt8]) -> String? {
        let low = low.isEmpty ? [0] : low
        let high = high.isEmpty ? [0] : high
        guard low.count <= high.count else { return nil }
        var alternatives: [String] = []
        for count in low.count...high.count {
            // A number of several digits begins with none that is 0.
            let first = count == low.count ? low : [1] + Array(repeating: 0, count: count - 1)
            let last = count == high.count ? high : Array(repeating: 9, count: count)
            guard !last.lexicographicallyPrecedes(first) else { continue }
            alternatives.append(fixed(first[...], last[...], count))
        }
        return alternatives.isEmpty ? nil : alternatives.joined(separator: " | ")
    }

    private static func digit(_ range: ClosedRange<UInt8>) -> String {
        range.count == 1 ? "\"\(range.lowerBound)\"" : "[\(range.lowerBound)-\(range.upperBound)]"
    }

    /// So many digits from one row of digits to another; nil: no bound.
    private static func fixed(_ low: ArraySlice<UInt8>?, _ high: ArraySlice<UInt8>?, _ count: Int) -> String {
        guard count > 0 else { return "\"\"" }
        let low = low?.allSatisfy { $0 == 0 } == true ? nil : low
        let high = high?.allSatisfy { $0 == 9 } == true ? nil : high
        guard low != nil || high != nil else { return count == 1 ? "[0-9]" : "[0-9]{\(count)}" }
        var alternatives: [String] = []
        for (digits, low, high) in steps(low, high) {
            let rest = fixed(low, high, count - 1)
            alternatives.append(count == 1 ? digit(digits) : "\(digit(digits)) \(rest)")
        }
        return alternatives.count == 1 ? alternatives[0] : "( \(alternatives.joined(separator: " | ")) )"
    }

    /// The digits that can come next, with what then bounds the rest. A bound that has no digit left goes on with zeros.
    private static func steps(
        _ low: ArraySlice<UInt8>?, _ high: ArraySlice<UInt8>?
    ) -> [(ClosedRange<UInt8>, ArraySlice<UInt8>?, ArraySlice<UInt8>?)] {
        let first = low.map { $0.first ?? 0 }
        let last = high.map { $0.first ?? 0 }
        let (from, to) = (first ?? 0, last ?? 9)
        guard from <= to else { return [] }
        if from == to {
            return [(from...to, first == nil ? nil : low?.dropFirst(), last == nil ? nil : high?.dropFirst())]
        }
        var steps: [(ClosedRange<UInt8>, ArraySlice<UInt8>?, ArraySlice<UInt8>?)] = []
        var (begin, end) = (from, to)
        if first != nil {
            steps.append((from...from, low?.dropFirst(), nil))
            begin += 1
        }
        if last != nil {
            steps.append((to...to, nil, high?.dropFirst()))
            end -= 1
        }
        if begin <= end { steps.append((begin...end, nil, nil)) }
        return steps
    }

    /// What is left of a bound's digits behind the point.
    private struct Rest {
        var digits: [UInt8]
        var isExcluded: Bool
    }

    /// A point and at most so many digits, or nothing, within bounds of the same whole part; nil where nothing fits.
    private static func fraction(_ low: Rest?, _ high: Rest?, _ count: Int) -> String? {
        let isOptional = mayEnd(
            low?.digits[...], low?.isExcluded ?? false, high?.digits[...], high?.isExcluded ?? false)
        let digits = behindPoint(
            low?.digits[...], low?.isExcluded ?? false, high?.digits[...], high?.isExcluded ?? false, count)
        guard let digits else { return isOptional ? "\"\"" : nil }
        return isOptional ? "( \".\" \(digits) )?" : "\".\" \(digits)"
    }

    /// Whether nothing but zeros lies within the bounds.
    private static func mayEnd(
        _ low: ArraySlice<UInt8>?, _ lowIsExcluded: Bool, _ high: ArraySlice<UInt8>?, _ highIsExcluded: Bool
    ) -> Bool {
        if let low, lowIsExcluded || low.contains(where: { $0 > 0 }) { return false }
        if let high, highIsExcluded, high.allSatisfy({ $0 == 0 }) { return false }
        return true
    }

    /// One digit or more, at most so many; nil where none fits.
    private static func behindPoint(
        _ low: ArraySlice<UInt8>?, _ lowIsExcluded: Bool, _ high: ArraySlice<UInt8>?, _ highIsExcluded: Bool,
        _ count: Int
    ) -> String? {
        guard count > 0 else { return nil }
        let low = low?.isEmpty == true && !lowIsExcluded ? nil : low
        guard low != nil || high != nil else { return count == 1 ? "[0-9]" : "[0-9]{1,\(count)}" }
        var alternatives: [String] = []
        for (digits, low, high) in steps(low, high) {
            let rest = behindPoint(low, lowIsExcluded, high, highIsExcluded, count - 1)
            let isOptional = mayEnd(low, lowIsExcluded, high, highIsExcluded)
            switch (rest, isOptional) {
            case (let rest?, true): alternatives.append("\(digit(digits)) ( \(rest) )?")
            case (let rest?, false): alternatives.append("\(digit(digits)) \(rest)")
            case (nil, true): alternatives.append(digit(digits))
            case (nil, false): continue
            }
        }
        guard !alternatives.isEmpty else { return nil }
        return alternatives.count == 1 ? alternatives[0] : "( \(alternatives.joined(separator: " | ")) )"
    }
}
