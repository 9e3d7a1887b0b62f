import Foundation
import LinuxSystem
import Settings
import TestPlaces
import Testing

@testable import HostAgent

@Suite("The folders of a service")
struct ServiceFoldersTests {
    private let place = TemporaryFolder()
    private var folders: ServiceFolders { ServiceFolders(root: place.file("hearth")) }

    private func mode(_ path: String) throws -> UInt32 { try FileFacts(path: path).permissions }

    /// The state as an earlier version left it.
    private func earlier(_ files: [String] = ["keys.json", "key.pem", "certificate.pem", "digests"]) throws {
        try FileManager.default.createDirectory(
            atPath: folders.root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for name in files { place.write("hearth/\(name)", "the \(name)", permissions: 0o600) }
    }

    private func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

    @Test func `they are made once, the state for the agent alone and the models for a group`() throws {
        #expect(try folders.prepare().isEmpty)
        try StateFolder.prepare(folders.state, for: nil)
        #expect(try mode(folders.root) == 0o755 && mode(folders.state) == 0o700 && mode(folders.models) == 0o2775)
        // What its owner changes stays.
        chmod(folders.models, 0o750)
        chmod(folders.root, 0o711)
        #expect(try folders.prepare().isEmpty)
        #expect(try mode(folders.models) == 0o750 && mode(folders.root) == 0o711)
        chmod(folders.root, 0o777)
        _ = try folders.prepare()
        #expect(try mode(folders.root) == 0o755)
    }

    @Test func `what an earlier version kept is moved, once, and the log says so`() throws {
        try earlier()
        place.write("hearth/own.pem", "its owner's")
        try FileManager.default.createDirectory(
            atPath: folders.models, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        #expect(folders.stateNow == folders.root)
        let log = try folders.prepare()
        #expect(
            log.count == 1 && log[0].contains("moved")
                && log[0].contains("keys.json, key.pem, certificate.pem, digests"))
        #expect(folders.stateNow == folders.state)
        #expect(text("\(folders.state)/keys.json") == "the keys.json" && text("\(folders.root)/keys.json") == nil)
        #expect(try mode("\(folders.state)/key.pem") == 0o600)
        #expect(text("\(folders.root)/own.pem") == "its owner's", "what the agent did not write stays")
        #expect(try mode(folders.root) == 0o755 && mode(folders.state) == 0o700 && mode(folders.models) == 0o2775)
        #expect(try folders.prepare().isEmpty)
    }

    @Test func `an attempt that was interrupted anywhere is completed, with the files as they are then`() throws {
        // Before the new folder took its name: a link of it is out of date.
        try earlier()
        try FileManager.default.createDirectory(
            atPath: folders.root + "/.state.new", withIntermediateDirectories: false)
        place.write("hearth/.state.new/keys.json", "older keys")
        #expect(folders.stateNow == folders.root)
        #expect(try folders.prepare().count == 1)
        #expect(text("\(folders.state)/keys.json") == "the keys.json")
        #expect(!FileManager.default.fileExists(atPath: folders.root + "/.state.new"))
        // After that: the earlier names are still there.
        try FileManager.default.linkItem(atPath: "\(folders.state)/keys.json", toPath: "\(folders.root)/keys.json")
        chmod(folders.root, 0o700)
        #expect(try folders.prepare().isEmpty)
        #expect(text("\(folders.root)/keys.json") == nil && text("\(folders.state)/keys.json") == "the keys.json")
        #expect(try mode(folders.root) == 0o755)
    }

    @Test func `nothing in use is overwritten, nor moved from under a running agent`() throws {
        try earlier(["keys.json"])
        try Socket.listen(on: SocketAddress("unix:\(folders.root)/admin.sock")).take { listener, _ in
            let error = #expect(throws: HostError.self) { try folders.prepare() }
            #expect(error?.description.contains("an agent of an earlier version runs") == true)
            #expect(listener.raw >= 0, "it was open until here")
        }
        #expect(text("\(folders.root)/keys.json") == "the keys.json")
        #expect(try folders.prepare().count == 1)
        #expect(!FileManager.default.fileExists(atPath: folders.root + "/admin.sock"))
        // Somebody went back to the earlier version meanwhile.
        place.write("hearth/keys.json", "other keys", permissions: 0o600)
        let log = try folders.prepare()
        #expect(log.count == 1 && log[0].contains("keys.json is not in use"))
        #expect(
            text("\(folders.root)/keys.json") == "other keys" && text("\(folders.state)/keys.json") == "the keys.json")
    }

    @Test func `the service's folder stands for the state in it`() {
        #expect(StateFolder.named("/var/lib/hearth") == "/var/lib/hearth/state")
        #expect(StateFolder.named("/var/lib/hearth/") == "/var/lib/hearth/state")
        #expect(StateFolder.named("/srv/hearth") == "/srv/hearth")
    }
}
