internal import BaseEncodings

/// Recognises a file of weights by its first bytes: people hand over pages, pointers and archives in place of models.
package enum WeightsFile {
    /// The number of first bytes that are looked at.
    package static let firstBytesCount = 512

    /// Why this cannot be a model that llama.cpp loads, as one sentence with its remedy; nil when its first bytes are
    /// those of one. `first` holds `firstBytesCount` bytes, or the whole file where that is shorter. GGUF's own
    /// specification has the magic "GGUF" and a version of 4 bytes, little-endian unless the file is big-endian.
    package static func flaw(first: [UInt8], fileBytes: UInt64) -> String? {
        if fileBytes == 0 { return "the weights are an empty file; \(downloadAgain)" }
        if let flaw = disguise(first) { return flaw }
        guard first.starts(with: Array("GGUF".utf8)) else {
            return "the weights are no GGUF file: they begin with \(shown(first.prefix(8))); convert the model to GGUF"
        }
        guard first.count >= 24 else {
            return "the weights are cut: \(fileBytes) bytes hold no GGUF header; \(downloadAgain)"
        }
        let version = first[4..<8].enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (8 * UInt32($1.offset)) }
        switch version {
        case 2, 3: return nil
        case 1: return "the weights are GGUF of version 1, which llama.cpp reads no more; convert the model anew"
        case _ where version & 0xffff == 0:
            return "the weights are a big-endian GGUF file; download or convert the little-endian one"
        default:
            return
                "the weights are GGUF of version \(version), which this llama.cpp does not know; convert the model anew"
        }
    }

    private static let downloadAgain = "download the file again"

    /// Other kinds of files that people hand over.
    private static func disguise(_ first: [UInt8]) -> String? {
        // A safetensors file begins with the length of a JSON text, 8 bytes little-endian.
        if first.count > 8, first[8] == UInt8(ascii: "{"), first[5...7].allSatisfy({ $0 == 0 }) {
            return "the weights are a safetensors file; convert the model to GGUF"
        }
        func begins(_ text: String) -> Bool { first.starts(with: Array(text.utf8)) }
        if begins("version https://git-lfs") {
            return "the weights are a pointer of Git LFS, not the model itself; run git lfs pull where it was cloned"
        }
        let words = first.drop { $0 <= 0x20 || $0 == 0xef || $0 == 0xbb || $0 == 0xbf }
        let opening = String(decoding: words.prefix(14), as: UTF8.self).lowercased()
        if opening.hasPrefix("<!doctype html") || opening.hasPrefix("<html") {
            return "the weights are an HTML page, not a model; download the file itself, not the page about it"
        }
        if opening.hasPrefix("{") {
            return "the weights are a JSON text, not a model: an answer of the server, or an index of other files; "
                + "download the .gguf file"
        }
        if begins("PK\u{3}\u{4}") {
            return "the weights are a ZIP archive or a PyTorch file, not GGUF; unpack it, or convert the model to GGUF"
        }
        if first.starts(with: [0x1f, 0x8b]) || first.starts(with: [0x28, 0xb5, 0x2f, 0xfd])
            || first.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a])
        {
            return "the weights are compressed (gzip, zstd or xz); unpack them first"
        }
        if ["lmgg", "tjgg", "fmgg", "algg"].contains(where: begins) {
            return "the weights are GGML, which came before GGUF; convert the model anew"
        }
        return nil
    }

    /// Bytes in a form that fits in a sentence.
    private static func shown(_ bytes: some Collection<UInt8>) -> String {
        if bytes.allSatisfy({ (0x20..<0x7f).contains($0) }) { return "\"\(String(decoding: bytes, as: UTF8.self))\"" }
        return bytes.map { hexadecimal([$0]) }.joined(separator: " ")
    }
}
