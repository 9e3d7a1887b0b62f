internal import Glibc

/// The terminal that a process was started from (tty(4)): SIGHUP says that it is gone, or, from whoever wants settings to
/// be read again, nothing of the kind.
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
