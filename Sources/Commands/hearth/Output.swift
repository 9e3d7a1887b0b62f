internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import LinuxSystem
internal import TerminalText

/// The standard streams. A command writes its answer whole, or reports that it could not and fails; a reader that has
/// gone, such as `head`, ends it quietly.
enum Output {
    /// The exit code with which a shell reports a program that SIGPIPE ended.
    private static let readerGone: CInt = 128 + SIGPIPE

    /// The columns of the terminal that standard output is; nil: it is none.
    static var columns: Int? {
        var size = winsize()
        guard isTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Writes a line, or several, fit for a terminal.
    static func print(_ text: String, terminator: String = "\n") { write(PrintableText.printable(text) + terminator) }

    /// Writes JSON, with characters that could control a terminal escaped.
    static func json(_ text: String) { write(printableJSON(text) + "\n") }

    /// Writes a table, with a header unless told otherwise.
    static func table(_ rows: [[String]], hasHeader: Bool = true) {
        print(TextTable(rows, hasHeader: hasHeader).text(columns: columns))
    }

    /// Writes to standard output; ends the command if that fails.
    static func write(_ text: String) {
        if let error = written(text, STDOUT_FILENO) { end(for: error) }
    }

    /// The same for text that must not be lost: `undo` is called before the command ends.
    static func print(_ text: String, undo: () throws -> Void) rethrows {
        guard let error = written(text + "\n", STDOUT_FILENO) else { return }
        try undo()
        end(for: error)
    }

    /// Whether the reader of standard output has gone, so that the next write would end the command.
    static var readerIsGone: Bool {
        var asked = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
        return poll(&asked, 1, 0) == 1 && asked.revents & Int16(POLLERR) != 0
    }

    /// Ends the command quietly, because nobody reads what it writes.
    static func end() -> Never { exit(readerGone) }

    private static func end(for error: LinuxError) -> Never {
        if error.code != EPIPE {
            note("hearth: standard output cannot be written: \(String(cString: strerror(error.code)))")
        }
        exit(error.code == EPIPE ? readerGone : Failure.requestFailed.rawValue)
    }

    /// Writes to standard output; a failure is ignored.
    static func announce(_ text: String) { _ = written(text, STDOUT_FILENO) }

    /// Writes a line to standard error, fit for a terminal; a failure is ignored.
    static func note(_ line: String) { _ = written(PrintableText.printable(line) + "\n", STDERR_FILENO) }

    /// Writes lines of the log to standard error, as they are; a failure is ignored.
    static func log(_ lines: String) { _ = written(lines, STDERR_FILENO) }

    /// Writes the text, and returns the error; nil: it was written.
    private static func written(_ text: String, _ descriptor: CInt) -> LinuxError? {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                // Another process that shares the descriptor has set it to non-blocking.
                var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&wanted, 1, -1)
            } else if errno != EINTR {
                return LinuxError(code: errno, operation: "write")
            }
        }
        return nil
    }
}

/// The three descriptors that every program has.
enum StandardStreams {
    /// Opens those that are closed, before any other file gets their numbers: a socket that is descriptor 1 would get
    /// what is printed. They can be neither read nor written, so that a command still reports that its output is lost.
    static func fillClosed() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
            // open(2) takes the lowest free number, which is this one.
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
        // Writing to a reader that has gone is an error like others.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Reads all of standard input as text. Throws if that fails, or if it is too long or no text.
    static func readAll(bytesMax: Int) throws(Refusal) -> String {
        let bytes: [UInt8]
        let input = Descriptor(owning: STDIN_FILENO)
        do throws(LinuxError) {
            bytes = try FileBytes.read(input, max: bytesMax, name: "standard input")
            _ = input.release()
        } catch {
            _ = input.release()
            if error.code == EFBIG {
                throw Refusal("standard input is longer than \(bytesMax >> 20) MiB, which no host takes")
            }
            throw Refusal("standard input cannot be read: \(String(cString: strerror(error.code)))")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Refusal("standard input is no text in UTF-8")
        }
        return text
    }
}

/// Why a command cannot use its input, in one line.
struct Refusal: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
