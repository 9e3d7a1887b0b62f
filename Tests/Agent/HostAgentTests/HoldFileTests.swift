import BackendSupervisor
import Foundation
import Settings
import TestPlaces
import Testing

@testable import HostAgent

struct HoldFileTests {
    private let folder = TemporaryFolder()
    private var file: HoldFile { HoldFile(state: folder.path) }

    @Test(
        "what is in force is read as it was written, and nothing is left of nothing",
        arguments: [
            OwnerHold(pause: .frozen), OwnerHold(pause: .unloaded), OwnerHold(isDraining: true),
            OwnerHold(pause: .frozen, isDraining: true), OwnerHold(),
        ])
    func kept(hold: OwnerHold) throws {
        try file.write(OwnerHold(pause: .frozen, isDraining: true))
        try file.write(hold)
        #expect(try file.read() == hold)
        #expect(FileManager.default.fileExists(atPath: file.path) == !hold.isEmpty)
        try file.write(OwnerHold())
        #expect(try file.read() == OwnerHold())
    }

    @Test(
        "what is not understood is refused, with its place and the remedy",
        arguments: [
            ("", "hold.json"), ("{", "hold.json:1"), ("[]", "must be an object"),
            (#"{"paused": true}"#, "unknown key 'paused'"), (#"{"pause": true}"#, "must be a string"),
            (#"{"pause": "later"}"#, #"must be "frozen" or "unloaded", not "later""#),
            ("{\n\"draining\": 1}", "hold.json:2: 'draining' must be true or false"),
            (#"{"draining": null}"#, "null"), ("{} {}", "hold.json:1"),
            (#"{"draining": true, "draining": false}"#, "draining"),
        ])
    func refused(text: String, words: String) throws {
        folder.write("hold.json", text)
        let error = #expect(throws: HostError.self) { try file.read() }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("correct it, or remove it") == true)
    }
}
