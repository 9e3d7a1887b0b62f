/// The kept output of one backend on its standard output and error; bounded by the limits `log…`.
package struct BackendOutput: Sendable {
    /// The log that the numbers count in, never 0; a backend that is found anew has another one.
    package let log: UInt64

    /// A line that the backend wrote, or, in parentheses, one that the agent adds about it. Fit for a terminal.
    package struct Line: Sendable {
        /// Counted from 1 at the first line that was ever written.
        package let number: UInt64
        /// The process id of the launcher that it came from.
        package let pid: Int32
        /// When its end was read, in milliseconds since 1970.
        package let milliseconds: UInt64
        package let text: String
    }

    /// Oldest first.
    package let lines: [Line]
    /// The number of the last line, kept or not.
    package let lastNumber: UInt64
    /// The text after the last line, without a line end yet.
    package let unfinished: String
}
