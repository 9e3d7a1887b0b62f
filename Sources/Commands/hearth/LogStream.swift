internal import Dispatch
internal import Foundation
internal import Synchronization
internal import TerminalText

/// The agent's log on standard error: lines fit for a terminal, whatever text they contain. A thread of its own writes
/// them, so that a reader that stops, with Ctrl-S or in a pager, does not stop the agent; lines beyond `bytesMax` are
/// then dropped and counted.
final class LogStream: TextOutputStream, Sendable {
    static let bytesMax = 1 << 20

    private struct Waiting {
        var text = ""
        var dropped = 0
        var isWriting = false
        var isEmpty: Bool { text.isEmpty && dropped == 0 && !isWriting }
    }

    private let waiting = Mutex(Waiting())
    private let wake = DispatchSemaphore(value: 0)

    init() {
        Thread.detachNewThread { [self] in
            while true {
                wake.wait()
                writeWaiting()
            }
        }
    }

    /// Takes one line with its line end. May be called by any thread, and does not block.
    func write(_ line: String) { take(printable(line.hasSuffix("\n") ? String(line.dropLast()) : line) + "\n") }

    /// The same for a line that is JSON, which stays what it says.
    func write(json line: String) { take(printableJSON(line) + "\n") }

    private func take(_ clean: String) {
        waiting.withLock {
            if $0.text.utf8.count + clean.utf8.count > LogStream.bytesMax { $0.dropped += 1 } else { $0.text += clean }
        }
        wake.signal()
    }

    /// Waits until all is written, at most so long.
    func flush(milliseconds: Int) {
        let end = DispatchTime.now() + .milliseconds(milliseconds)
        while !waiting.withLock({ $0.isEmpty }), DispatchTime.now() < end { usleep(1_000) }
    }

    private func writeWaiting() {
        let now = waiting.withLock { waiting in
            let now = waiting
            waiting = Waiting(isWriting: true)
            return now
        }
        let missing = now.dropped > 0 ? "(\(now.dropped) lines of the log are missing here: nobody read them)\n" : ""
        Output.log(now.text + missing)
        waiting.withLock { $0.isWriting = false }
    }
}
