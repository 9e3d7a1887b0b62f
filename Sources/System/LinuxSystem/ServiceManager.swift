internal import Glibc

/// The service manager that started this process, as sd_notify(3) speaks to it: datagrams to the socket that NOTIFY_SOCKET
/// names. The manager tells the sender by its process id. Any thread may use it.
package struct ServiceManager: Sendable, Equatable {
    /// The environment variable that names the socket.
    package static let variable = "NOTIFY_SOCKET"
    /// A manager that takes nothing for so long is not told: an agent does not stop for it.
    private static let waitSeconds = 1

    /// The socket's path, or its abstract name behind an "@" (unix(7)).
    private let name: String

    /// Nil where no manager waits for word, or where it is reached by another kind of socket (`vsock:`).
    package init?(environment: [String: String]) {
        guard let name = environment[Self.variable], name.utf8.count > 1, name.hasPrefix("/") || name.hasPrefix("@")
        else {
            return nil
        }
        self.name = name
    }

    /// Tells it; returns once the manager's socket has taken the datagram.
    package func tell(_ notice: ServiceNotice) throws(LinuxError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(name.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw LinuxError(code: ENAMETOOLONG, operation: "tell the service manager at \(name)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            path.copyBytes(from: bytes)
            if bytes[0] == UInt8(ascii: "@") { path[0] = 0 }
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + bytes.count)
        let socket = Descriptor(
            owning: try checked("make a socket") {
                Glibc.socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
            })
        var wait = timeval(tv_sec: Self.waitSeconds, tv_usec: 0)
        setsockopt(socket.raw, SOL_SOCKET, SO_SNDTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
        let text = Array(notice.text.utf8)
        try withUnsafePointer(to: &address) { (pointer) throws(LinuxError) in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { (system) throws(LinuxError) in
                _ = try checked("tell the service manager at \(name)") {
                    sendto(socket.raw, text, text.count, CInt(MSG_NOSIGNAL), system, length)
                }
            }
        }
    }
}

/// What a service tells its manager.
package enum ServiceNotice: Equatable, Sendable {
    /// It serves: at its start, after another process has made way for it, and after it has read its settings again.
    case ready(status: String)
    /// It reads its settings again, from this moment of `Monotonic.awake` on; `ready` follows.
    case reloading(since: Monotonic)
    /// It is about to end.
    case stopping(status: String)
    /// Another process is the service's main process from now on. A manager takes this from the main process, and for a
    /// process of the service's own control group (systemd.service(5), NotifyAccess=main).
    case mainProcess(Int32)

    /// The datagram: variables, one in a line.
    var text: String {
        switch self {
        case .ready(let status): "READY=1\nSTATUS=\(Self.line(status))\n"
        case .reloading(let moment): "RELOADING=1\nMONOTONIC_USEC=\(moment.nanoseconds / 1_000)\n"
        case .stopping(let status): "STOPPING=1\nSTATUS=\(Self.line(status))\n"
        case .mainProcess(let pid): "MAINPID=\(pid)\n"
        }
    }

    private static func line(_ status: String) -> String {
        status.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
