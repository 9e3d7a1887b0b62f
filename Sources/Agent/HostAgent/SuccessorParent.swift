internal import Glibc
internal import LinuxSystem

/// The parent of a new agent until that has taken over: a process of its own, so that the new agent is then nobody's child
/// but the service manager's, which learns of its end and waits for it (systemd.service(5) on main processes that are no
/// children of the manager). It tells the agent that started it how the new one does, and ends it when it is told to.
package enum SuccessorParent {
    /// The command of `hearth` that calls `run`.
    package static let command = "parent-of-successor"
    /// The descriptor of the socket on which the two speak: one datagram for each word.
    static let socket: CInt = 4
    /// What the new agent gets: standard input and output, the pipe that is its standard error until it has taken over, and
    /// the standard error that it has from then on.
    static let passedOn: [CInt] = [0, 1, 2, 3]
    static let wordBytesMax = 1_024

    /// What it says.
    enum Report: Equatable {
        case started(Int32)
        case failed(String)
        case ended(ExitStatus)

        var bytes: [UInt8] {
            switch self {
            case .started(let pid): Array("started \(pid)".utf8)
            case .failed(let reason): Array("failed \(reason)".utf8.prefix(SuccessorParent.wordBytesMax))
            case .ended(.exited(let code)): Array("exited \(code)".utf8)
            case .ended(.signalled(let signal)): Array("signalled \(signal)".utf8)
            }
        }

        /// Nil for what is no report.
        init?(_ bytes: [UInt8]) {
            let words = String(decoding: bytes, as: UTF8.self).split(separator: " ", maxSplits: 1)
            guard words.count == 2 else { return nil }
            switch (words[0], CInt(words[1])) {
            case ("started", let pid?): self = .started(pid)
            case ("failed", _): self = .failed(String(words[1]))
            case ("exited", let code?): self = .ended(.exited(code))
            case ("signalled", let signal?): self = .ended(.signalled(signal))
            default: return nil
            }
        }
    }

    /// What it is told: the number of the signal to send.
    static func order(_ signal: CInt) -> [UInt8] { [UInt8(signal)] }

    /// Starts the program, and returns when that has ended, or when the other end of the socket is closed. The signals that
    /// end an agent must be blocked.
    package static func run(_ program: String, arguments: [String]) {
        let control = Descriptor(owning: socket)
        let child: ProcessHandle
        do throws(LinuxError) {
            let pid = try ProcessSpawn.spawn(
                program, arguments: arguments, environment: ProcessFork.inheritedEnvironment, descriptors: passedOn,
                inOwnSession: false)
            child = try ProcessHandle(child: pid)
        } catch {
            return say(.failed("\(error)"), control)
        }
        say(.started(child.processID), control)
        while true {
            let ready = try? Poll.waitForAny(
                of: [(child.raw, .readable), (control.raw, .readable)], nanoseconds: nil)
            guard let ready else { return }
            if !ready[0].isEmpty, let exit = child.reap() { return say(.ended(exit), control) }
            guard !ready[1].isEmpty else { continue }
            guard case .received(let order)? = try? Socket.receiveDatagram(control.raw, max: wordBytesMax) else {
                return
            }
            child.send(signal: CInt(order[0]))
        }
    }

    private static func say(_ report: Report, _ control: borrowing Descriptor) {
        _ = try? Socket.sendDatagram(control.raw, report.bytes, waits: true)
    }
}
