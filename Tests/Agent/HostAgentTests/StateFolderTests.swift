import Settings
import Testing

@testable import HostAgent

struct StateFolderTests {
    @Test(
        "it lies where the owner's other state lies",
        arguments: [
            (["HOME": "/home/a", "XDG_STATE_HOME": "/state"], "/state/hearth"),
            (["HOME": "/home/a", "XDG_STATE_HOME": "relative"], "/home/a/.local/state/hearth"),
            (["HOME": "/home/a"], "/home/a/.local/state/hearth"),
            (["HOME": "relative"], "/account/.local/state/hearth"),
            (["HOME": ""], "/account/.local/state/hearth"), ([:], "/account/.local/state/hearth"),
        ])
    func places(environment: [String: String], folder: String) throws {
        #expect(try StateFolder.usual(environment: environment, isRoot: false, home: "/account") == folder)
    }

    @Test func `a service has its own`() throws {
        #expect(
            try StateFolder.usual(environment: ["HOME": "/root"], isRoot: true, home: nil) == "/var/lib/hearth/state")
    }

    @Test func `without any home it must be named`() {
        #expect(throws: HostError.self) { try StateFolder.usual(environment: [:], isRoot: false, home: nil) }
    }

    @Test func `a flag wins over the environment, and neither may be empty`() throws {
        #expect(try StateFolder.asked("/flag", environment: ["HEARTH_STATE": "/x"]) == "/flag")
        #expect(try StateFolder.asked(nil, environment: ["HEARTH_STATE": "/x"]) == "/x")
        #expect(throws: HostError.self) { try StateFolder.asked("", environment: [:]) }
        #expect(throws: HostError.self) { try StateFolder.asked(nil, environment: ["HEARTH_STATE": ""]) }
    }
}
