/// Why a model did not load, in words for its owner: the first error, not those that followed from it.
package struct LoadFailure: Equatable, Sendable {
    /// The first error that llama.cpp logged; empty when it logged none.
    package var firstError: String
    /// The size that the file's own header asks for; nil when the header cannot be read.
    package var wantedBytes: UInt64?
    package var fileBytes: UInt64

    package init(firstError: String, wantedBytes: UInt64?, fileBytes: UInt64) {
        self.firstError = firstError
        self.wantedBytes = wantedBytes
        self.fileBytes = fileBytes
    }

    /// One sentence with the remedy.
    package var sentence: String {
        if let wantedBytes, fileBytes < wantedBytes {
            return "the weights are cut: \(fileBytes) of \(wantedBytes) bytes; download the file again"
        }
        let error = Self.plain(firstError)
        if let architecture = Self.quoted(after: "unknown model architecture: ", in: error) {
            return "the model's architecture is \"\(architecture)\", which this llama.cpp does not know; "
                + "choose another model, or a backend with a newer llama.cpp"
        }
        if error.contains("mmap failed") {
            return "the weights cannot be mapped (\(error)): the backend's policy forbids it, or its memory is too "
                + "small; name \"inference-cpu\" as \"policy\" in the manifest, or raise memoryMebibytes"
        }
        if Self.speaksOfMemory(error) {
            return "there is no memory for the weights (\(error)); raise memoryMebibytes in the manifest"
        }
        guard !error.isEmpty else { return "llama.cpp does not load the weights, and does not say why" }
        return "llama.cpp does not load the weights: \(error)"
    }

    /// Whether a message of llama.cpp, of C++ or of the kernel reports a lack of memory.
    package static func speaksOfMemory(_ message: String) -> Bool {
        let marks = [
            "insufficient memory", "failed to allocate", "unable to allocate", "bad_alloc", "Cannot allocate memory",
            "mem_buffer != NULL", "out of memory",
        ]
        return marks.contains { message.contains($0) }
    }

    /// A line of llama.cpp's log without the name of its function, the folder of its source file, and the words common to
    /// all errors.
    package static func plain(_ line: String) -> String {
        var line = line[...]
        while let last = line.last, last.isWhitespace { line.removeLast() }
        if line.first == "/", let colon = line.firstIndex(of: ":"), let slash = line[..<colon].lastIndex(of: "/") {
            return String(line[line.index(after: slash)...])
        }
        if let colon = line.firstIndex(of: ":"),
            line[..<colon].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
        {
            line = line[line.index(after: colon)...].drop { $0 == " " }
        }
        for noise in [
            "error loading model: ", "error loading model hyperparameters: ", "error loading model vocabulary: ",
        ]
        where line.hasPrefix(noise) {
            line = line.dropFirst(noise.count)
        }
        return String(line)
    }

    /// The text in quotation marks after `words`.
    private static func quoted(after words: String, in line: String) -> String? {
        // The search goes by bytes, which needs no Foundation.
        let haystack = Array(line.utf8)
        let needle = Array(words.utf8)
        guard haystack.count > needle.count,
            let start = (0...(haystack.count - needle.count)).first(where: { haystack[$0...].starts(with: needle) })
        else { return nil }
        let rest = haystack[(start + needle.count)...].drop { $0 == UInt8(ascii: "'") }
        return String(decoding: rest.prefix { $0 != UInt8(ascii: "'") }, as: UTF8.self)
    }
}
