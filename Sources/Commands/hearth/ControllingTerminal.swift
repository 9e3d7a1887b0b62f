internal import Glibc

/// The terminal that a process was started from (tty(4)). It tells a SIGHUP that means that the terminal is gone from
/// one that asks to read the settings again.
struct ControllingTerminal: Sendable {
    private let wasThere = Self.isThere

    var isGone: Bool { wasThere && !Self.isThere }

    private static var isThere: Bool {
        let descriptor = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }
}
