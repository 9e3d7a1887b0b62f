/// What one backend wrote to its standard output and error, as far as it is kept; bounded by the limits `log…`.
package struct BackendOutput: Sendable {
    /// Which log the numbers count in, never 0: a backend that is found anew has another.
    package let log: UInt64

    /// A line that it wrote, or, in parentheses, one that the agent says of it. Fit for a terminal.
    package struct Line: Sendable {
        /// From 1, and from the first that was ever written.
        package let number: UInt64
        /// The launcher's process that it came from.
        package let pid: Int32
        /// When its end was read, in milliseconds since 1970.
        package let milliseconds: UInt64
        package let text: String
    }

    /// Oldest first.
    package let lines: [Line]
    /// Of the last line, kept or not.
    package let lastNumber: UInt64
    /// What was written behind it, without a line end yet.
    package let unfinished: String
}
