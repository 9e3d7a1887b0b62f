/// The form of `grpc-timeout`: one to eight digits and a unit (grpc/doc/PROTOCOL-HTTP2.md, "Requests"). Pure.
package enum CallTimeout {
    private static let digitsMax = 8

    /// Nanoseconds, or nil when the text is no timeout.
    package static func decode(_ text: String) -> UInt64? {
        guard let unit = text.last, let scale = nanoseconds(of: unit) else { return nil }
        let digits = text.dropLast()
        guard (1...digitsMax).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let value = UInt64(digits)
        else { return nil }
        let (product, overflow) = value.multipliedReportingOverflow(by: scale)
        return overflow ? .max : product
    }

    /// In the finest unit that holds it, rounded up, so that the server never gives up first.
    static func encode(nanoseconds: UInt64) -> String {
        for unit in ["n", "u", "m", "S", "M", "H"] {
            guard let scale = CallTimeout.nanoseconds(of: Character(unit)) else { continue }
            let value = nanoseconds / scale + (nanoseconds % scale == 0 ? 0 : 1)
            if value < 100_000_000 { return "\(value)\(unit)" }
        }
        return "99999999H"
    }

    private static func nanoseconds(of unit: Character) -> UInt64? {
        switch unit {
        case "n": 1
        case "u": 1_000
        case "m": 1_000_000
        case "S": 1_000_000_000
        case "M": 60_000_000_000
        case "H": 3_600_000_000_000
        default: nil
        }
    }
}
