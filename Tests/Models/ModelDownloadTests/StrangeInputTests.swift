import ModelPull
import SeededRandom
import Testing

@testable import ModelDownload

/// Texts of strangers, damaged at random: whatever they are, they are read within bounds or refused.
struct StrangeInputTests {
    private static let manifest =
        "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/vnd.docker.ai.gguf.v3\",\"digest\":\"sha256:"
        + String(repeating: "0f", count: 32) + "\",\"size\":18446744073709551615,\"annotations\":{\"a\":\"b\"}}]}"
    private static let journal =
        (0..<4).map { "\($0 * 70) \(70 + $0) \(String(repeating: "a\($0)", count: 32))\n" }.joined()

    private func damaged(_ text: String, _ random: inout SeededRandom) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.insert(contentsOf: bytes[place...].prefix(20), at: place)
            default: bytes.removeSubrange(place..<min(place + 7, bytes.count - 1))
            }
        }
        return bytes
    }

    @Test func `nothing that a registry or a damaged disk says makes the process crash`() {
        var random = SeededRandom(seed: 15)
        for _ in 0..<3_000 {
            if case .image(let layers)? = try? ImageManifest.parse(
                damaged(Self.manifest, &random), architecture: "amd64")
            {
                #expect(layers.allSatisfy { $0.digest.count == 32 && $0.size <= 1 << 46 })
            }
            let ranges = ArrivedRanges(journal: damaged(Self.journal, &random))
            var end: UInt64 = 0
            for piece in ranges.pieces {
                #expect(piece.offset >= end && piece.count > 0)
                end = piece.end
            }
            let field = damaged(
                "Bearer realm=\"https://h.example/t\",service=\"s\\\"\",scope=x, Basic realm=y", &random)
            #expect(Challenge.parse(String(decoding: field, as: UTF8.self)).count <= 16)
            let event = damaged(PullEvent(.downloading, "é\u{1}\"", done: 1, total: .max).json, &random)
            _ = try? PullEvent(json: event)
            let source = String(decoding: damaged("https://h.example:1/a%2fb.gguf#sha256=00", &random), as: UTF8.self)
            if let parsed = try? PullSource.parse(source, sha256: String(repeating: "00", count: 32)),
                let name = try? PulledName(of: parsed, as: nil)
            {
                #expect(!name.file.utf8.contains(UInt8(ascii: "/")) && !name.file.hasPrefix("."))
            }
        }
    }
}
