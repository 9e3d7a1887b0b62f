internal import ChatTerminal
internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// The terminal of a conversation. One thread reads it as long as the process lives: while a line is asked for, it
/// edits that line; otherwise it keeps typed keys for the next line, and passes on Ctrl-C.
final class PromptTerminal: Sendable {
    enum Answer {
        case line(String)
        case interrupted(wasEmpty: Bool)
        case ended
    }

    fileprivate struct Request {
        let prompt: String
        let history: [String]
        let continuation: CheckedContinuation<Answer, Never>
    }

    /// The descriptor that signal handlers write to; below 0: none yet.
    private static let signals = Atomic<CInt>(-1)

    fileprivate let request = Mutex<Request?>(nil)
    fileprivate let style: TerminalStyle
    fileprivate let onInterrupt: @Sendable () -> Void
    /// A pipe that wakes the thread: each byte is a signal's number, or 0 for a request.
    private let wake: DescriptorPair

    /// Nil: the modes of the terminal cannot be set, or the system has no room for a pipe and a thread. One for each
    /// process.
    init?(style: TerminalStyle, onInterrupt: @escaping @Sendable () -> Void) {
        (self.style, self.onInterrupt) = (style, onInterrupt)
        do throws(LinuxError) {
            wake = try Descriptor.pipe()
            try wake.first.setNonblocking(true)
            try wake.second.setNonblocking(true)
        } catch {
            return nil
        }
        TerminalModes.restoreAtExit()
        guard TerminalModes.enter() else { return nil }
        do throws(LinuxError) {
            try DetachedThread.run { [self] in
                var loop = PromptLoop(terminal: self)
                while true { loop.turn() }
            }
        } catch {
            TerminalModes.restore()
            return nil
        }
        // From here on the thread keeps the descriptor open.
        Self.signals.store(wake.second.raw, ordering: .releasing)
        for number in [SIGWINCH, SIGCONT, SIGTSTP] { Self.watch(number) }
    }

    /// Asks for one line; one request at a time.
    func line(prompt: String, history: [String]) async -> Answer {
        await withCheckedContinuation { continuation in
            request.withLock { $0 = Request(prompt: prompt, history: history, continuation: continuation) }
            wakeThread(0)
        }
    }

    /// Takes SIGINT, which another process sent, as it takes Ctrl-C.
    func interrupt() { wakeThread(UInt8(SIGINT)) }

    private func wakeThread(_ reason: UInt8) {
        var byte = reason
        _ = write(wake.second.raw, &byte, 1)
    }

    fileprivate static func watch(_ number: CInt) {
        signal(number) { number in
            let kept = errno
            var byte = UInt8(truncatingIfNeeded: number)
            _ = write(PromptTerminal.signals.load(ordering: .acquiring), &byte, 1)
            errno = kept
        }
    }

    /// Waits until the terminal or a signal needs attention; returns whether the terminal can be read, and the signals.
    fileprivate func wait(reading: Bool, milliseconds: CInt) -> (isReadable: Bool, signals: [CInt]) {
        var watched = [
            pollfd(fd: wake.first.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: reading ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&watched, 2, milliseconds) > 0 else { return (false, []) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(wake.first.raw, &bytes, bytes.count)
        return (watched[1].revents != 0, bytes.prefix(max(0, count)).map(CInt.init))
    }
}

/// The state of the thread.
private struct PromptLoop {
    /// The most bytes that are kept of keys typed ahead.
    private static let keptBytesMax = 1 << 20
    /// How often the thread checks whether the job is in the foreground again, which no signal reports.
    private static let backgroundMilliseconds: CInt = 250

    private let terminal: PromptTerminal
    private var reader = KeyReader()
    private var screen: EditorScreen
    private var editor: LineEditor?
    private var asked: PromptTerminal.Request?
    private var size = Self.currentSize
    private var kept: [EditorKey] = []
    private var keptBytes = 0
    private var hasEnded = false
    private var wasForeground = true

    init(terminal: PromptTerminal) {
        self.terminal = terminal
        screen = EditorScreen(style: terminal.style)
    }

    mutating func turn() {
        let isForeground = TerminalModes.isForeground
        if isForeground, !wasForeground { resume() }
        wasForeground = isForeground
        let (isReadable, signals) = terminal.wait(
            reading: isForeground && !hasEnded, milliseconds: isForeground ? -1 : Self.backgroundMilliseconds)
        if signals.contains(SIGTSTP) { suspend() } else if signals.contains(SIGCONT) { resume() }
        let now = Self.currentSize
        if now != size {
            size = now
            draw()
        }
        if let request = terminal.request.withLock({ $0.take() }) { begin(request) }
        if signals.contains(SIGINT) { take([.interrupt]) }
        if isReadable { read() }
    }

    private mutating func read() {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(STDIN_FILENO, &bytes, bytes.count)
        if count < 0, errno == EINTR || errno == EAGAIN { return }
        // The terminal is gone.
        hasEnded = count <= 0
        take(reader.take(bytes.prefix(max(0, count))))
    }

    private mutating func begin(_ request: PromptTerminal.Request) {
        asked = request
        editor = LineEditor(history: request.history)
        let keys = kept
        (kept, keptBytes) = ([], 0)
        draw()
        take(keys)
    }

    private mutating func take(_ keys: [EditorKey]) {
        for key in keys {
            if editor == nil { keep(key) } else { edit(key) }
        }
        draw()
        if hasEnded, editor != nil { answer(.ended) }
    }

    private mutating func keep(_ key: EditorKey) {
        switch key {
        case .interrupt, .suspend, .quit:
            // As where these keys send signals (termios(3), ISIG): output that Ctrl-S holds up goes on, so that the
            // answer can end. Linux lets TCOON undo only a TCOOFF.
            tcflow(STDOUT_FILENO, TCOOFF)
            tcflow(STDOUT_FILENO, TCOON)
            switch key {
            case .suspend: suspend()
            case .quit: raise(SIGQUIT)
            default: terminal.onInterrupt()
            }
        case .text(let text), .paste(let text): keep(key, bytes: text.utf8.count)
        default: keep(key, bytes: 1)
        }
    }

    private mutating func keep(_ key: EditorKey, bytes: Int) {
        guard keptBytes + bytes <= Self.keptBytesMax else { return }
        kept.append(key)
        keptBytes += bytes
    }

    private mutating func edit(_ key: EditorKey) {
        switch editor?.take(key) {
        case .submitted(let line): answer(.line(line))
        case .interrupted(let wasEmpty): answer(.interrupted(wasEmpty: wasEmpty))
        case .ended: answer(.ended)
        case .suspended: suspend()
        case .quit:
            leave()
            raise(SIGQUIT)
        case .screenCleared:
            draw()
            Output.write(screen.clear(size: size))
        case .editing, nil: break
        }
    }

    private mutating func answer(_ answer: PromptTerminal.Answer) {
        leave()
        editor = nil
        asked.take()?.continuation.resume(returning: answer)
    }

    private mutating func draw() {
        guard let editor, let asked else { return }
        Output.write(
            screen.draw(
                prompt: editor.searchPrompt ?? asked.prompt, left: editor.left, right: editor.right, size: size))
    }

    /// Leaves the text as it is, with the cursor behind it.
    private mutating func leave() {
        guard editor != nil else { return }
        draw()
        Output.write(screen.finish(size: size))
    }

    /// Stops the job, as Ctrl-Z does elsewhere, with the terminal as it was.
    private mutating func suspend() {
        leave()
        TerminalModes.restore()
        signal(SIGTSTP, SIG_DFL)
        kill(0, SIGTSTP)
        // The signal may reach another thread, so that this one goes on for a moment. A job that no shell could
        // continue is not stopped.
        _ = terminal.wait(reading: false, milliseconds: 100)
        PromptTerminal.watch(SIGTSTP)
        resume()
    }

    private mutating func resume() {
        guard TerminalModes.isForeground else { return }
        TerminalModes.enter()
        screen.forget()
        draw()
    }

    private static var currentSize: EditorScreen.Size {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return EditorScreen.Size(columns: 80, rows: 24)
        }
        return EditorScreen.Size(columns: Int(size.ws_col), rows: Int(size.ws_row))
    }
}
