/// How a server wants to be asked again (RFC 9110, section 11.6.1).
package struct Challenge: Equatable, Sendable {
    /// In lower case: "bearer", "basic".
    package let scheme: String
    /// Their names in lower case.
    package let parameters: [String: String]

    /// The challenges in the value of a WWW-Authenticate field, as far as they can be read.
    package static func parse(_ field: String) -> [Challenge] {
        var reader = Reader(rest: Array(field.unicodeScalars)[...])
        var challenges: [(scheme: String, parameters: [String: String])] = []
        while challenges.count < 16 {
            reader.skip(" ,\t")
            guard let word = reader.token() else { break }
            reader.skip(" \t")
            if reader.take("="), !challenges.isEmpty {
                reader.skip(" \t")
                guard let value = reader.quoted() ?? reader.token() else { break }
                let last = challenges.count - 1
                guard challenges[last].parameters.count < 32 else { break }
                challenges[last].parameters[word.lowercased()] = value
            } else {
                challenges.append((word.lowercased(), [:]))
            }
        }
        return challenges.map { Challenge(scheme: $0.scheme, parameters: $0.parameters) }
    }

    private struct Reader {
        var rest: ArraySlice<Unicode.Scalar>

        mutating func skip(_ scalars: String) {
            while let next = rest.first, scalars.unicodeScalars.contains(next) { rest.removeFirst() }
        }

        mutating func take(_ scalar: Unicode.Scalar) -> Bool {
            guard rest.first == scalar else { return false }
            rest.removeFirst()
            return true
        }

        mutating func token() -> String? {
            var text = String.UnicodeScalarView()
            while let next = rest.first, next.value > 0x20, next.value < 0x7f, !"=,\"".unicodeScalars.contains(next) {
                text.append(next)
                rest.removeFirst()
            }
            return text.isEmpty ? nil : String(text)
        }

        mutating func quoted() -> String? {
            guard take("\"") else { return nil }
            var text = String.UnicodeScalarView()
            while let next = rest.popFirst() {
                if next == "\"" { return String(text) }
                if next == "\\", let escaped = rest.popFirst() { text.append(escaped) } else { text.append(next) }
            }
            return nil
        }
    }
}
