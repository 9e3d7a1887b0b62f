import ConsumerAccess
import Foundation
import LinuxSystem
import TestPlaces
import Testing

struct KeyFileTests {
    @Test func `what was kept is read again, from a file that only its owner can read and that holds no secret`() throws
    {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            #expect(try file.read() == nil)
            let secret = KeySecret.random()
            let limits = KeyLimits(
                streams: 2, tokensPerMinute: 600, models: ["a/b", "ü"], share: 3, priority: .high)
            let kept = try file.change { (book) throws(AccessError) -> KeyBook in
                try book.create("one", secret: secret, limits: limits, now: Date(), lifetimeSeconds: 60)
                return book
            }
            #expect(try file.read() == kept)
            #expect(try file.read()?.key(of: secret)?.limits == limits)
            let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
            let text = try String(contentsOfFile: file.path, encoding: .utf8)
            #expect(!text.contains(secret.text) && !text.contains(secret.text.dropFirst(7)))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["keys.json"])
        }
    }

    @Test func `an owner's key stays one, and a consumer's is written as earlier versions read it`() throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            for isOwner in [true, false] {
                try file.change { (book) throws(AccessError) in
                    try book.create(
                        "\(isOwner)", isOwner: isOwner, secret: .random(), limits: KeyLimits(), now: Date(),
                        lifetimeSeconds: nil)
                }
            }
            #expect(try file.read()?.keys.map(\.isOwner) == [true, false])
            let text = try String(contentsOfFile: file.path, encoding: .utf8)
            #expect(text.ranges(of: "\"owner\"").count == 1)
        }
    }

    @Test func `the first keys are made once, even when all of them were revoked`() throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            func first() throws -> Bool? {
                try file.createFirst { (book) throws(AccessError) in
                    try book.create(
                        "default", secret: .random(), limits: KeyLimits(), now: Date(), lifetimeSeconds: nil)
                    return true
                }
            }
            #expect(try first() == true)
            #expect(try first() == nil)
            try file.change { (book) throws(AccessError) in try book.revoke("default") }
            #expect(try first() == nil)
            #expect(try file.read()?.keys.isEmpty == true)
        }
    }

    @Test func `what earlier versions kept as tokens is read, and gone once the keys are written`() throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            let secret = KeySecret.random()
            try file.change { (book) throws(AccessError) in
                try book.create("one", secret: secret, limits: KeyLimits(), now: Date(), lifetimeSeconds: nil)
            }
            let older = folder + "/tokens.json"
            let text = try String(contentsOfFile: file.path, encoding: .utf8)
            try FileManager.default.removeItem(atPath: file.path)
            try text.replacing("\"keys\"", with: "\"tokens\"").write(toFile: older, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: older)
            #expect(try file.read()?.key(of: secret)?.name == "one")
            #expect(try file.createFirst { (_) throws(AccessError) in true } == nil, "there are keys already")
            try file.change { (book) throws(AccessError) in try book.revoke("one") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["keys.json"])
            #expect(try file.read()?.key(of: secret) == nil, "one that is revoked does not come back")
        }
    }

    @Test func `a change that is refused leaves the file as it was`() throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            #expect(throws: AccessError.self) {
                try file.change { (book) throws(AccessError) in try book.revoke("none") }
            }
            let left = try file.read()
            #expect(left == nil)
        }
    }

    @Test func `a file that others can read is not trusted`() throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            try #"{"keys": []}"#.write(toFile: file.path, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
            #expect(try file.read() == KeyBook())
            try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: file.path)
            let error = #expect(throws: AccessError.self) { try file.read() }
            #expect(error?.description.contains("chmod 600") == true)
        }
    }

    @Test(arguments: [
        "", "{", "[]", "{}", #"{"keys": 1}"#, #"{"keys": [{}]}"#, "\u{0}\u{1}",
        #"{"keys": [{"name": "a", "sha256": "00", "created": "2026-01-01T00:00:00Z", "limits": {"models": []}}]}"#,
        #"{"keys": [{"name": "a", "sha256": "zz", "created": 1, "limits": {"models": []}}]}"#,
    ])
    func `what is no book of keys is refused, with the file's name`(text: String) throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            try text.write(toFile: file.path, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
            let error = #expect(throws: AccessError.self) { try file.read() }
            #expect(error?.description.contains(file.path) == true)
        }
    }

    @Test(arguments: [
        (#"{"keys": [], "limit": 1}"#, "limit"),
        (KeyFileTests.key(#""limits": {"models": []}, "expire": "2026-01-01T00:00:00Z""#), "expire"),
        (KeyFileTests.key(#""limits": {"models": [], "tokens-per-minute": 10}"#), "tokens-per-minute"),
        (KeyFileTests.key(#""limits": {"models": [], "streams": "2"}"#), "streams"),
        (KeyFileTests.key(#""limits": {"models": [], "streams": -1}"#), "streams"),
        (KeyFileTests.key(#""limits": {"models": "echo"}"#), "models"),
        (KeyFileTests.key(#""limits": {"models": [], "priority": "urgent"}"#), "priority"),
        (KeyFileTests.key(#""limits": {"models": [], "share": -1}"#), "share"),
    ])
    func `a member that nobody reads, or of another kind, is refused by its name`(text: String, named: String) throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            try text.write(toFile: file.path, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
            let error = #expect(throws: AccessError.self) { try file.read() }
            #expect(error?.description.contains(named) == true)
        }
    }

    fileprivate static func key(_ rest: String) -> String {
        let digest = String(repeating: "0", count: 64)
        return #"{"keys": [{"name": "a", "sha256": "\#(digest)", "created": "2026-01-01T00:00:00Z", \#(rest)}]}"#
    }

    @Test func `what earlier versions wrote is read, digests in capitals included`() throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            let text = KeyFileTests.key(#""limits": {"models": [], "streams": 2}"#)
                .replacingOccurrences(of: "000000", with: "0000Af")
            try text.write(toFile: file.path, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
            #expect(try file.read()?.keys.first?.limits.streams == 2)
        }
    }

    @Test func `an empty file says what to do`() throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            try "".write(toFile: file.path, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
            let error = #expect(throws: AccessError.self) { try file.read() }
            #expect(error?.description.contains("\(file.path) is empty; put back a copy") == true)
        }
    }

    @Test func `as many keys as there may be fit into their file`() throws {
        try inTemporaryFolder { folder in
            let file = KeyFile(folder: folder)
            let long = String(repeating: "n", count: AccessLimits.inForce.keyNameBytesMax - 6)
            var keys: [String] = []
            for number in 0..<AccessLimits.inForce.keysMax {
                let digits = String(format: "%064x", number)
                keys.append(
                    #"{"name":"\#(long)\#(number)","sha256":"\#(digits)","created":"2026-01-01T00:00:00Z","#
                        + #""expires":"2126-01-01T00:00:00Z","limits":{"models":["a/model"],"streams":10,"tokensPerMinute":1000}}"#
                )
            }
            let text = #"{"keys":["# + keys.joined(separator: ",") + "]}"
            try FileBytes.replace(file.path, with: Array(text.utf8))
            try file.change { (book) throws(AccessError) in try book.revoke(long + "0") }
            #expect(try file.read()?.keys.count == AccessLimits.inForce.keysMax - 1)
        }
    }

    @Test func `a folder that is not there is named`() {
        let error = #expect(throws: AccessError.self) {
            try KeyFile(folder: "/nonexistent/hearth").change { (_) throws(AccessError) in }
        }
        #expect(error?.description.contains("/nonexistent/hearth") == true)
    }
}
