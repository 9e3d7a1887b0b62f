import Testing

@testable import HostAgent

struct SettingsPlaceTests {
    private func usual(
        state: String? = nil, _ environment: [String: String] = [:], isRoot: Bool = false, home: String? = nil
    ) throws -> String? {
        try SettingsPlace.usual(state: state, environment: environment, isRoot: isRoot, home: home)
    }

    @Test func `a service has one for the machine, and a user one of its own`() throws {
        #expect(try usual(isRoot: true) == "/etc/hearth/settings.json")
        for state in ["/var/lib/hearth/state", "/var/lib/hearth"] {
            #expect(try usual(state: state) == "/etc/hearth/settings.json")
            #expect(try usual(["HEARTH_STATE": state]) == "/etc/hearth/settings.json")
        }
        #expect(try usual(["HOME": "/h"], home: "/x") == "/h/.config/hearth/settings.json")
        #expect(try usual(["XDG_CONFIG_HOME": "/c", "HOME": "/h"]) == "/c/hearth/settings.json")
        #expect(try usual(["XDG_CONFIG_HOME": "c"], home: "/x") == "/x/.config/hearth/settings.json")
        #expect(try usual() == nil)
    }

    @Test func `an agent with a state folder of its own reads none that it is not told of`() throws {
        #expect(try usual(state: "/s", ["HOME": "/h"]) == nil)
        #expect(try usual(["HEARTH_STATE": "/s", "HOME": "/h"]) == nil)
        #expect(try usual(state: "/s", isRoot: true) == nil)
    }
}
