import Foundation
import LinuxSystem
import Settings
import TestPlaces
import Testing

@testable import OwnerTools

struct SettingsFileTests {
    private func text(_ http: String) throws -> SettingsText {
        try SettingsText.none.setting(.http, to: http, file: "f")
    }

    @Test func `it is made with its folder, and keeps its mode and a link to it`() throws {
        try inTemporaryFolder { folder in
            let made = SettingsFile(path: "\(folder)/a/b/settings.json")
            #expect(try made.read() == nil)
            try made.write(text("off"))
            #expect(try made.read() == text("off"))
            #expect(try FileFacts(path: made.path).permissions == 0o644)

            let real = "\(folder)/real.json"
            try FileBytes.replace(real, with: Array(#"{"tls": true}"#.utf8), mode: 0o600)
            let link = SettingsFile(path: "\(folder)/link.json")
            try checked("link") { symlink(real, link.path) }
            try link.write(text("127.0.0.1:1"))
            #expect(try FileFacts(path: link.path).kind == .symbolicLink)
            #expect(try SettingsFile(path: real).read() == text("127.0.0.1:1"))
            #expect(try FileFacts(path: real).permissions == 0o600)
            made.remove()
            #expect(try made.read() == nil)
        }
    }

    @Test func `one that cannot be understood is refused, and stays`() throws {
        try inTemporaryFolder { folder in
            let path = "\(folder)/settings.json"
            try FileBytes.replace(path, with: Array("{\n\"tls\": yes}".utf8))
            let error = #expect(throws: HostError.self) { try SettingsFile(path: path).read() }
            #expect(error?.description.hasPrefix("\(path):2") == true)
            let folder = #expect(throws: HostError.self) { try SettingsFile(path: folder).read() }
            #expect(folder?.description.contains("no regular file") == true)
        }
    }
}
