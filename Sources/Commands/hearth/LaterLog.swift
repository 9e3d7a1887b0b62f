internal import Glibc
internal import Settings

/// Where the log of an agent goes once it has taken over from the agent that started it, which reads its standard error
/// until then. A descriptor that this process was given.
struct LaterLog: Sendable {
    private let descriptor: CInt

    /// Takes the descriptor that the environment names; nil where it names none. Called once.
    init?(environment: [String: String]) {
        guard let number = environment[SettingsEnvironment.laterLog].flatMap(CInt.init), number > STDERR_FILENO,
            fcntl(number, F_SETFD, FD_CLOEXEC) == 0
        else { return nil }
        descriptor = number
    }

    /// Everything that is written to standard error goes there from now on. Called once.
    func begin() {
        dup2(descriptor, STDERR_FILENO)
        close(descriptor)
    }
}
