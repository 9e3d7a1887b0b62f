import Glibc
import Testing

@testable import LinuxSystem

struct ServiceManagerTests {
    @Test func `a notice is lines of variables, whatever its status says`() {
        #expect(
            ServiceNotice.ready(status: "accepting on\n127.0.0.1:1").text
                == "READY=1\nSTATUS=accepting on 127.0.0.1:1\n")
        #expect(ServiceNotice.stopping(status: "soon").text == "STOPPING=1\nSTATUS=soon\n")
        #expect(ServiceNotice.mainProcess(17).text == "MAINPID=17\n")
        // In microseconds (sd_notify(3)).
        #expect(
            ServiceNotice.reloading(since: Monotonic(nanoseconds: 5_000_999)).text
                == "RELOADING=1\nMONOTONIC_USEC=5000\n")
    }

    @Test func `only a Unix socket's path and an abstract name are a manager`() {
        for name in [nil, "", "@", "relative/path", "vsock:2:1234"] as [String?] {
            #expect(ServiceManager(environment: name.map { [ServiceManager.variable: $0] } ?? [:]) == nil)
        }
        for name in ["/run/notify", "@name"] {
            #expect(ServiceManager(environment: [ServiceManager.variable: name]) != nil)
        }
    }

    @Test(arguments: [false, true]) func `the manager gets the datagram`(isAbstract: Bool) throws {
        let name = "/tmp/hearth-notify-\(getpid())-\(isAbstract)"
        defer { unlink(name) }
        let manager = try #require(
            ServiceManager(environment: [ServiceManager.variable: isAbstract ? "@\(name)" : name]))
        #expect(throws: LinuxError.self) { try manager.tell(.mainProcess(1)) }
        let socket = Descriptor(owning: Glibc.socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: (isAbstract ? [0] : []) + Array(name.utf8)) }
        let length = socklen_t(2 + name.utf8.count + (isAbstract ? 1 : 0))
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket.raw, $0, length) }
        }
        #expect(result == 0)
        try manager.tell(.mainProcess(2))
        try manager.tell(.ready(status: "s"))
        #expect(try Socket.receiveDatagram(socket.raw, max: 100) == .received(Array("MAINPID=2\n".utf8)))
        #expect(try Socket.receiveDatagram(socket.raw, max: 100) == .received(Array("READY=1\nSTATUS=s\n".utf8)))
    }

    @Test func `a name that is too long is an error`() throws {
        let name = "/" + String(repeating: "n", count: 200)
        let manager = try #require(ServiceManager(environment: [ServiceManager.variable: name]))
        #expect(throws: LinuxError.self) { try manager.tell(.mainProcess(1)) }
    }
}
