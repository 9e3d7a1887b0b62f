import LlamaPlanning
import Testing

@Suite("WeightsFile")
struct WeightsFileTests {
    private func flaw(_ text: String, bytes: UInt64 = 5_000) -> String {
        WeightsFile.flaw(first: Array(text.utf8), fileBytes: bytes) ?? "none"
    }

    private func header(_ version: [UInt8]) -> String? {
        WeightsFile.flaw(first: Array("GGUF".utf8) + version + [UInt8](repeating: 0, count: 16), fileBytes: 24)
    }

    @Test("what is handed over in place of a model is named, with what to do")
    func disguises() {
        let cases = [
            ("<!DOCTYPE html><html>", "HTML page"), ("\n\n<html lang=en>", "HTML page"),
            ("\u{feff}<!doctype HTML>", "HTML page"),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "git lfs pull"),
            ("{\"error\": \"Invalid username\"}", "JSON"), ("PK\u{3}\u{4}", "PyTorch"), ("lmgg\u{1}", "before GGUF"),
            ("Entry not found", "begin with \"Entry no\""),
        ]
        for (text, part) in cases { #expect(flaw(text).contains(part), "\(flaw(text))") }
        #expect(WeightsFile.flaw(first: [0x1f, 0x8b, 8, 0], fileBytes: 99)?.contains("unpack") == true)
        #expect(
            WeightsFile.flaw(first: [9, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x22], fileBytes: 99)?.contains("safetensors")
                == true)
        #expect(WeightsFile.flaw(first: [0, 1, 2, 255], fileBytes: 4)?.contains("begin with 00 01 02 ff") == true)
        #expect(flaw("", bytes: 0).contains("empty"))
    }

    @Test("a GGUF file is one of version 2 or 3, little-endian and with a whole header")
    func versions() {
        #expect(header([3, 0, 0, 0]) == nil)
        #expect(header([2, 0, 0, 0]) == nil)
        #expect(header([1, 0, 0, 0])?.contains("version 1") == true)
        #expect(header([4, 0, 0, 0])?.contains("version 4") == true)
        #expect(header([0, 0, 0, 3])?.contains("big-endian") == true)
        #expect(flaw("GGUF\u{3}", bytes: 5).contains("cut: 5 bytes"))
    }
}
