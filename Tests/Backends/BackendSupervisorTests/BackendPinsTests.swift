import StrictJSON
import Testing

@testable import BackendSupervisor

@Suite("BackendPins")
struct BackendPinsTests {
    private static func digest(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

    private static func files(
        _ executable: UInt8?, _ manifest: UInt8?, _ policy: UInt8?
    ) -> BackendPins.Files {
        BackendPins.Files(
            executable: executable.map(digest), manifest: manifest.map(digest), policy: policy.map(digest))
    }

    private static func change(_ part: BackendPins.Part, _ was: UInt8?, _ found: UInt8?) -> BackendPins.Change {
        BackendPins.Change(part: part, was: was.map(digest), found: found.map(digest))
    }

    private var pins: BackendPins {
        var pins = BackendPins()
        pins.pin("a", Self.files(1, 2, 3))
        pins.pin("bare", Self.files(1, nil, 3))
        return pins
    }

    @Test(
        "a backend is compared part by part, as far as it is known",
        arguments: [
            ("a", files(1, 2, 3), BackendPins.Verdict.pinned),
            ("bare", files(1, nil, 3), .pinned),
            ("new", files(1, 2, 3), .firstSight),
            ("new", files(1, nil, 3), .firstSight),
            // Nothing is pinned before all of it was read.
            ("new", files(nil, 2, 3), .unknown), ("new", files(1, 2, nil), .unknown),
            ("a", files(nil, 2, 3), .unknown), ("a", files(1, 2, nil), .unknown), ("a", files(nil, 2, nil), .unknown),
            ("a", files(9, 2, 3), .changed([change(.executable, 1, 9)])),
            ("a", files(1, 9, 3), .changed([change(.manifest, 2, 9)])),
            ("a", files(1, 2, 9), .changed([change(.policy, 3, 9)])),
            ("a", files(1, nil, 3), .changed([change(.manifest, 2, nil)])),
            ("bare", files(1, 2, 3), .changed([change(.manifest, nil, 2)])),
            (
                "a", files(7, 8, 9),
                .changed([
                    change(.executable, 1, 7), change(.manifest, 2, 8), change(.policy, 3, 9),
                ])
            ),
            ("a", files(nil, 9, 3), .changed([change(.manifest, 2, 9)])),
            ("a", files(9, 2, nil), .changed([change(.executable, 1, 9)])),
        ])
    func verdicts(name: String, files: BackendPins.Files, verdict: BackendPins.Verdict) {
        #expect(pins.verdict(on: name, files) == verdict)
    }

    @Test("what an installation brought is accepted part by part, and nothing else with it")
    func installed() {
        func verdict(_ files: BackendPins.Files) -> BackendPins.Verdict {
            pins.verdict(on: "a", files) { part, digest in part != .policy && digest == Self.digest(9) }
        }
        #expect(verdict(Self.files(9, 2, 3)) == .installed)
        #expect(verdict(Self.files(9, 9, 3)) == .installed)
        #expect(verdict(Self.files(1, 2, 3)) == .pinned)
        #expect(verdict(Self.files(9, 8, 3)) == .changed([Self.change(.manifest, 2, 8)]))
        #expect(verdict(Self.files(1, 2, 9)) == .changed([Self.change(.policy, 3, 9)]))
        #expect(verdict(Self.files(9, nil, 3)) == .changed([Self.change(.manifest, 2, nil)]))
        #expect(verdict(Self.files(9, 2, nil)) == .unknown)
    }

    @Test("what its owner trusts is pinned, and the earlier files are then a change")
    func trusted() {
        var pins = pins
        pins.pin("a", Self.files(9, nil, 3))
        #expect(pins.verdict(on: "a", Self.files(9, nil, 3)) == .pinned)
        #expect(
            pins.verdict(on: "a", Self.files(1, 2, 3))
                == .changed([Self.change(.executable, 9, 1), Self.change(.manifest, nil, 2)]))
        // What could not be read is not forgotten.
        pins.pin("a", Self.files(8, nil, nil))
        #expect(pins.all["a"] == Self.files(8, nil, 3))
        pins.pin("a", Self.files(nil, 5, 4))
        #expect(pins.all["a"] == Self.files(8, 5, 4))
    }

    @Test(
        "a change is told with what was and what is",
        arguments: [
            (
                change(.executable, 0xab, 0xcd),
                "its executable changed: was sha256 abababababab…, is sha256 cdcdcdcdcdcd…"
            ),
            (change(.manifest, 0xab, nil), "its manifest is gone: was sha256 abababababab…"),
            (change(.manifest, nil, 0xcd), "it had no manifest: now sha256 cdcdcdcdcdcd…"),
        ])
    func words(change: BackendPins.Change, words: String) { #expect(change.words == words) }

    @Test("the file says what it was written from")
    func roundTrip() throws {
        #expect(try BackendPins(Array(pins.encoded.utf8), file: "pins.json") == pins)
        #expect(try BackendPins(Array(BackendPins().encoded.utf8), file: "pins.json") == BackendPins())
    }

    @Test(
        "a file that is not understood is refused with its line",
        arguments: [
            ("", "pins.json:1"), ("{", "pins.json:1"), ("[]", "must be an object"), ("{}", "'backends' is missing"),
            (#"{"backends": {}}"#, "must be a list"), (#"{"backend": []}"#, "unknown key 'backend'"),
            (#"{"backends": [{}]}"#, "'name' is missing"),
            (#"{"backends": [{"name": "a"}]}"#, "'executable' is missing"),
            (
                "{\"backends\": [\n{\"name\": \"a\", \"executable\": \"00\"}]}",
                "pins.json:2: 'executable' must be the 64"
            ),
            (#"{"backends": [{"name": "a", "executable": "D"}]}"#, "'policy' is missing"),
            (#"{"backends": [{"name": "a", "executable": "D", "policy": "D", "model": "D"}]}"#, "unknown key 'model'"),
            (
                #"{"backends": [{"name": "a", "executable": "D", "policy": "D"}, {"name": "a", "executable": "D", "policy": "D"}]}"#,
                "stands twice"
            ),
        ])
    func refused(text: String, words: String) {
        let text = text.replacing(#""D""#, with: "\"\(String(repeating: "0", count: 64))\"")
        let error = #expect(throws: JSONError.self) { try BackendPins(Array(text.utf8), file: "pins.json") }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("as many as are kept can be read again, with the longest names")
    func most() throws {
        var pins = BackendPins()
        for number in 0..<BackendPins.countMax {
            #expect(pins.haveRoom)
            pins.pin("\(number)".padding(to: 64), Self.files(1, 2, 3))
        }
        #expect(!pins.haveRoom)
        #expect(pins.encoded.utf8.count <= JSONLimits.fileBytesMax)
        #expect(try BackendPins(Array(pins.encoded.utf8), file: "pins.json") == pins)
    }
}

extension String {
    fileprivate func padding(to count: Int) -> String { self + String(repeating: "x", count: count - utf8.count) }
}
