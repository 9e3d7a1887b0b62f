/// One field of a header list; pseudo-fields are named with their colon (RFC 9113, section 8).
package struct HTTP2Header: Hashable, Sendable {
    /// The name, in lower case.
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}
