internal import Foundation
internal import Glibc

/// The standard streams, written to without the risk that a reader that has gone, such as `head`, crashes the command.
enum Output {
    /// As a shell tells of a program that SIGPIPE ended.
    private static let readerGone: CInt = 128 + SIGPIPE

    /// Writes to standard output; when nobody reads it any more, ends the command quietly.
    static func write(_ text: String) {
        if (try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))) == nil { exit(readerGone) }
    }

    /// Writes to standard output what the command does not depend on.
    static func announce(_ text: String) {
        try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    }

    /// Writes a line to standard error; what cannot be written is lost.
    static func note(_ line: String) {
        try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
    }
}
