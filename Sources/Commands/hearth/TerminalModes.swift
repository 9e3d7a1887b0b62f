internal import Glibc
internal import Synchronization

/// The modes of the terminal that is standard input: its own, and those of a line editor, which sees each key as it is
/// typed, with nothing echoed and no key that sends a signal. However the process ends by itself, the terminal gets its
/// own modes back.
enum TerminalModes {
    private enum State {
        static let own = 0
        static let editor = 1
        /// The process ends, and the modes may not be set again.
        static let over = 2
    }

    private static let state = Atomic<Int>(State.own)
    /// Written before `state` first says that the modes are the editor's; read by signal handlers too.
    nonisolated(unsafe) private static let before = UnsafeMutablePointer<termios>.allocate(capacity: 1)

    /// Whether this process may read the terminal. A terminal that is not the controlling one has no jobs.
    static var isForeground: Bool {
        let group = tcgetpgrp(STDIN_FILENO)
        return group < 0 || group == getpgrp()
    }

    /// Sets the editor's modes; returns false if that cannot be done. Also called when another process may have set the
    /// modes.
    @discardableResult
    static func enter() -> Bool {
        guard state.load(ordering: .acquiring) != State.over else { return false }
        if state.load(ordering: .acquiring) == State.own {
            guard tcgetattr(STDIN_FILENO, before) == 0 else { return false }
        }
        var modes = before.pointee
        modes.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG | IEXTEN)
        modes.c_iflag &= ~tcflag_t(ICRNL | INLCR | IGNCR | ISTRIP)
        guard tcsetattr(STDIN_FILENO, TCSANOW, &modes) == 0 else { return false }
        _ = state.compareExchange(expected: State.own, desired: State.editor, ordering: .acquiringAndReleasing)
        // The terminal brackets pastes, so that they are told from typed keys.
        send("\u{1B}[?2004h")
        return true
    }

    /// Restores the terminal's own modes; `finally`: for good.
    static func restore(finally: Bool = false) {
        let was = state.exchange(finally ? State.over : State.own, ordering: .acquiringAndReleasing)
        guard was == State.editor, isForeground else { return }
        tcsetattr(STDIN_FILENO, TCSANOW, before)
        send("\u{1B}[?2004l\u{1B}[0m")
    }

    /// Has the modes restored at every end of the process but SIGKILL.
    static func restoreAtExit() {
        atexit { TerminalModes.restore(finally: true) }
        for number in [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGTRAP] {
            signal(number) { number in
                TerminalModes.restore(finally: true)
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }

    /// Writes a sequence to the terminal; safe in a signal handler.
    private static func send(_ text: StaticString) { _ = write(STDOUT_FILENO, text.utf8Start, text.utf8CodeUnitCount) }
}
