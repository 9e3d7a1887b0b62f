internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import LinuxSystem
internal import TerminalText

/// The standard streams. What a command is asked for it writes whole, or it says that it could not and fails; a reader that
/// has gone, such as `head`, ends it quietly.
enum Output {
    /// As a shell tells of a program that SIGPIPE ended.
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

    /// Writes JSON, which says the same with nothing in it that steers a terminal.
    static func json(_ text: String) { write(printableJSON(text) + "\n") }

    /// Writes a table, with a header unless told otherwise.
    static func table(_ rows: [[String]], hasHeader: Bool = true) {
        print(TextTable(rows, hasHeader: hasHeader).text(columns: columns))
    }

    /// Writes to standard output; where that cannot be done, ends the command.
    static func write(_ text: String) {
        if let error = written(text, STDOUT_FILENO) { end(for: error) }
    }

    /// The same for what must not be lost: `undo` is done before the command ends.
    static func print(_ text: String, undo: () throws -> Void) rethrows {
        guard let error = written(text + "\n", STDOUT_FILENO) else { return }
        try undo()
        end(for: error)
    }

    /// Whoever read standard output reads it no more; what is written next would end the command.
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

    /// Writes to standard output what the command does not depend on.
    static func announce(_ text: String) { _ = written(text, STDOUT_FILENO) }

    /// Writes a line to standard error, fit for a terminal; what cannot be written is lost.
    static func note(_ line: String) { _ = written(PrintableText.printable(line) + "\n", STDERR_FILENO) }

    /// Writes lines of the log to standard error, as they are; what cannot be written is lost.
    static func log(_ lines: String) { _ = written(lines, STDERR_FILENO) }

    /// Why it could not be written; nil: it was.
    private static func written(_ text: String, _ descriptor: CInt) -> LinuxError? {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                // Whoever shares it made it so that it does not block.
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
    /// Opens those that are closed, before anything else could become one of them: a socket that is descriptor 1 would get what
    /// is printed. They can be neither read nor written, so that a command still says that its output is lost.
    static func fillClosed() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
            // The lowest that is free, which is this one (open(2)).
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
        // Writing to a reader that has gone is an error like others.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Everything that comes on standard input, as text. Throws what is wrong with it.
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

/// What a command cannot do with what it was given, in one line.
struct Refusal: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
