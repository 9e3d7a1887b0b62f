import Foundation
import Testing

@testable import InferenceService

struct TextAssemblerTests {
    /// Feeds pieces and joins what comes out, up to a stop.
    private func assemble(_ pieces: [[UInt8]], stops: [String] = []) -> (text: String, stop: String?) {
        var assembler = TextAssembler(stops: stops)
        var text: [UInt8] = []
        for piece in pieces {
            switch piece.withUnsafeBytes({ assembler.append($0) }) {
            case .asGiven: text += piece
            case .text(let bytes): text += bytes
            case .stopped(let bytes, let stop): return (String(decoding: text + bytes, as: UTF8.self), stops[stop])
            }
            #expect(String(validating: text, as: UTF8.self) != nil, "only whole scalars are given out")
        }
        return (String(decoding: text + assembler.finish(), as: UTF8.self), nil)
    }

    private func bytes(_ text: String) -> [[UInt8]] { text.utf8.map { [$0] } }

    @Test func `text without stops passes as it is`() {
        var assembler = TextAssembler(stops: [])
        let output = Array("héllo".utf8).withUnsafeBytes { assembler.append($0) }
        #expect(output == .asGiven)
    }

    @Test(arguments: ["a", "é", "日本語", "👩‍👩‍👧 family", "mixed é日👍 end"])
    func `a scalar split anywhere comes out whole`(text: String) {
        #expect(assemble(bytes(text)).text == text)
        let all = Array(text.utf8)
        for cut in all.indices { #expect(assemble([Array(all[..<cut]), Array(all[cut...])]).text == text) }
    }

    @Test func `bytes that are no text become replacement characters and lose nothing else`() {
        #expect(assemble([[0x61, 0xff, 0x62]]).text == "a\u{fffd}b")
        #expect(assemble([[0x61, 0xe2], [0x62]]).text == "a\u{fffd}b")
        #expect(assemble([[0xed, 0xa0, 0x80]]).text == "\u{fffd}\u{fffd}\u{fffd}")
        #expect(assemble([[0x61], [0xf0, 0x9f]]).text == "a\u{fffd}")
    }

    /// Unicode 16, section 3.9, tables 3-8 to 3-11.
    @Test(
        arguments: [
            (
                [0xc0, 0xaf, 0xe0, 0x80, 0xbf, 0xf0, 0x81, 0x82, 0x41],
                "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}A"
            ),
            (
                [0xed, 0xa0, 0x80, 0xed, 0xbf, 0xbf, 0xed, 0xaf, 0x41],
                "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}A"
            ),
            (
                [0xf4, 0x91, 0x92, 0x93, 0xff, 0x41, 0x80, 0xbf, 0x42],
                "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}A\u{fffd}\u{fffd}B"
            ),
            ([0xe1, 0x80, 0xe2, 0xf0, 0x91, 0x92, 0xf1, 0xbf, 0x41], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}A"),
        ] as [([UInt8], String)])
    func `a maximal part of a scalar becomes one replacement character, wherever it is cut`(
        bytes: [UInt8], text: String
    ) {
        for cut in bytes.indices { #expect(assemble([Array(bytes[..<cut]), Array(bytes[cut...])]).text == text) }
        #expect(String(decoding: bytes, as: UTF8.self) == text, "as Swift does it")
    }

    @Test func `text ends before the first stop, wherever the pieces are cut`() {
        for stop in ["STOP", "é!", "\n\n"] {
            let text = Array("some text\(stop) and more\(stop)".utf8)
            for cut in text.indices {
                let result = assemble([Array(text[..<cut]), Array(text[cut...])], stops: ["nothing", stop])
                #expect(result.text == "some text")
                #expect(result.stop == stop)
            }
        }
    }

    @Test func `bytes that are no text meet a stop of what they become, wherever they are cut`() {
        let noise: [UInt8] = [
            0xff, 0xe2, 0x82, 0x61, 0xf0, 0x9f, 0x98, 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0x80, 0xc3, 0xa9, 0xc3,
        ]
        let bytes = noise + noise + [0x62] + noise
        let whole = String(decoding: bytes, as: UTF8.self)
        for stop in ["\u{fffd}\u{fffd}b", "é\u{fffd}b", "\u{fffd}a\u{fffd}😀", "a\u{fffd}é"] {
            let end = whole.range(of: stop)?.lowerBound ?? whole.endIndex
            for first in bytes.indices {
                for second in first..<bytes.count {
                    let pieces = [Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...])]
                    let result = assemble(pieces, stops: ["nothing", stop])
                    #expect(result.text == whole[..<end], "\(stop), cut at \(first) and \(second)")
                    #expect(result.stop == (end < whole.endIndex ? stop : nil))
                }
            }
        }
    }

    @Test func `the beginning of a stop that does not go on is sent after all`() {
        let result = assemble(bytes("aab aaab end aa"), stops: ["aaaa", "aaac"])
        #expect(result.text == "aab aaab end aa")
        #expect(result.stop == nil)
    }

    @Test func `a stop that overlaps itself is found at its first place`() {
        let result = assemble(bytes("xabababc"), stops: ["ababc"])
        #expect(result.text == "xab")
        #expect(result.stop == "ababc")
    }

    @Test func `of two stops that end together the longer one counts`() {
        let result = assemble(bytes("one two"), stops: ["two", "one two"])
        #expect(result.text == "")
        #expect(result.stop == "one two")
    }

    @Test func `nothing is held back that cannot begin a stop`() {
        var assembler = TextAssembler(stops: ["zebra"])
        let output = Array("a lazy dog ze".utf8).withUnsafeBytes { assembler.append($0) }
        #expect(output == .text(Array("a lazy dog ".utf8)))
        let rest = assembler.finish()
        #expect(rest == Array("ze".utf8))
    }
}
