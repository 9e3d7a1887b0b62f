import Foundation
import LinuxSystem
import Settings
import TestPlaces
import Testing

@testable import HostAgent

struct ListenerSecurityTests {
    private func security(_ folder: String) throws -> ListenerSecurity {
        var configuration = HostConfiguration()
        configuration.listen = [.internet(host: "0.0.0.0", port: 0)]
        return try ListenerSecurity(configuration, state: folder)
    }

    private func write(_ text: String, to path: String) throws {
        try FileBytes.replace(path, with: Array(text.utf8))
    }

    @Test("A certificate is made once, and is the same at the next start")
    func once() throws {
        try inTemporaryFolder { folder in
            let first = try security(folder).fingerprint
            #expect(first?.count == 64)
            #expect(try security(folder).fingerprint == first)
        }
    }

    @Test(
        "A start that was cut short between the key and its certificate is mended by the next one", arguments: [0, 100])
    func mended(keyBytes: Int) throws {
        try inTemporaryFolder { folder in
            _ = try security(folder)
            let key = try String(contentsOfFile: folder + "/key.pem", encoding: .utf8)
            try FileManager.default.removeItem(atPath: folder + "/certificate.pem")
            try write(String(key.prefix(keyBytes)), to: folder + "/key.pem")
            #expect(try security(folder).fingerprint?.count == 64)
        }
    }

    @Test("Files that are damaged are told of, with what to do", arguments: ["certificate.pem", "key.pem"])
    func damaged(file: String) throws {
        try inTemporaryFolder { folder in
            _ = try security(folder)
            let whole = try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
            for cut in ["", String(whole.prefix(100))] {
                try write(cut, to: folder + "/" + file)
                let error = #expect(throws: HostError.self) { try security(folder) }
                #expect(error?.description.contains(folder + "/" + file) == true)
                #expect(error?.description.contains("remove \(folder)/certificate.pem and \(folder)/key.pem") == true)
            }
            try FileManager.default.removeItem(atPath: folder + "/key.pem")
            #expect(throws: HostError.self) { try security(folder) }
        }
    }
}
