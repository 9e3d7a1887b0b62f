import LinuxSystem
import Testing

@testable import Settings

struct SettingsChangeTests {
    typealias Key = HostConfiguration.Key

    /// What can change while an agent runs; every other setting needs a restart.
    private static let live: Set<Key> = [
        .requireKey, .http, .httpNames, .httpOrigins, .keepAlive, .memory, .keepaliveTime, .keepaliveTimeout,
        .minPingInterval, .maxConnectionIdle, .maxConnectionAge, .maxConnectionAgeGrace,
    ]

    private func base() throws -> HostConfiguration {
        var base = HostConfiguration()
        try set(.http, "127.0.0.1:8080", in: &base)
        return base
    }

    private func set(_ key: Key, _ text: String, in configuration: inout HostConfiguration) throws {
        try key.setting.set([text], in: &configuration, place: key.rawValue, .flag)
    }

    /// Another value than the usual one.
    private func another(_ key: Key) -> String {
        switch key.setting.kind {
        case .toggle: "true"
        case .choice(let words, _): words[1]
        case .seconds: "7"
        case .fraction: "0.5"
        case .size: "3G"
        case .text: "127.0.0.1:9"
        case .texts: key == .httpOrigins ? "https://example.org" : "x"
        case .addresses: "127.0.0.1:9"
        }
    }

    @Test(arguments: Key.allCases)
    func `each setting is in force at once, or needs a restart`(key: Key) throws {
        let old = try base()
        var new = old
        try set(key, another(key), in: &new)
        #expect(new != old)
        let change = try SettingsChange(from: old, to: new)
        let isLive = Self.live.contains(key)
        #expect(change.applied == (isLive ? [key] : []))
        #expect(change.needsRestart == (isLive ? [] : [key]))
        #expect(change.result == (isLive ? new : old))
        // Taken back, it is as before, and what was never in force needs no restart any more.
        let back = try SettingsChange(from: change.result, to: old)
        #expect(back.result == old && back.needsRestart.isEmpty && back.applied == change.applied)
    }

    @Test func `what has not changed is not told, and what has is told by name`() throws {
        let old = try base()
        #expect(try SettingsChange(from: old, to: old) == SettingsChange(from: old, to: old))
        #expect(try SettingsChange(from: old, to: old).applied.isEmpty)
        var new = old
        for key in [Key.tier, .memory, .listen, .keepAlive] { try set(key, another(key), in: &new) }
        let change = try SettingsChange(from: old, to: new)
        #expect(change.applied == [.keepAlive, .memory])
        #expect(change.needsRestart == [.listen, .tier])
        #expect(change.result.memory == 3 << 30 && change.result.listen == old.listen)
    }

    @Test func `nothing is applied that contradicts what stays`() throws {
        var old = try base()
        old.plaintext = true
        var new = old
        new.plaintext = false
        new.http = "0.0.0.0:8080"
        new.memory = 3 << 30
        let error = #expect(throws: HostError.self) { try SettingsChange(from: old, to: new) }
        #expect(error?.description.contains("plaintext is refused on http 0.0.0.0:8080") == true)
        #expect(
            error?.description.hasSuffix("plaintext cannot change while the agent runs: restart it instead") == true)
    }

    @Test func `off is an address that serves nothing, and keeps the names`() throws {
        var old = try base()
        old.httpNames = ["example.org"]
        var new = old
        try set(.http, "off", in: &new)
        let change = try SettingsChange(from: old, to: new)
        #expect(change.applied == [.http])
        #expect(try change.result.httpAddress() == nil && change.result.httpNames == ["example.org"])
    }
}
