/// A model's name, taken from the name of its file: "SmolLM2-135M-Instruct.Q4_1.gguf" is "smollm2-135m-instruct" in the
/// quantisation "q4_1".
package struct ModelName: Equatable, Sendable {
    /// Lower case; letters, digits, '.', '_' and '-'.
    package let name: String
    /// How its weights are stored; nil where the file's name does not say it.
    package let quantisation: String?
    /// The number of this file among those of a model in several files, and how many these are; nil where the file is
    /// the whole model.
    package let part: Part?

    package struct Part: Equatable, Sendable {
        package let number: Int
        package let count: Int
    }

    /// The id that consumers name it by.
    package var id: String { quantisation.map { "\(name):\($0)" } ?? name }

    /// Endings of the names of files that programs write during a download.
    package static let unfinished = ["part", "partial", "incomplete", "crdownload", "download", "tmp", "aria2"]
    /// Endings of files that lie beside models and are none.
    package static let companions = ["md", "txt", "license", "yaml", "yml", "sha256"]

    /// Whether a file of a folder of models may be a model, as far as its name says.
    package static func mayBeModel(fileName name: String) -> Bool {
        guard !name.hasPrefix("."), !name.hasSuffix("~"), let dot = name.lastIndex(of: ".") else { return false }
        let ending = name[name.index(after: dot)...].lowercased()
        return ending != "json" && ending != "jinja" && !unfinished.contains(ending) && !companions.contains(ending)
    }

    /// - Parameter stem: the file's name without the ending that tells its format.
    package init(stem: String) {
        var text = String(stem.lowercased().unicodeScalars.map { Self.isPlain($0) ? Character($0) : "-" })
        if let split = text.wholeMatch(of: /(.+)-([0-9]{5})-of-([0-9]{5})/),
            let number = Int(split.2), let count = Int(split.3)
        {
            part = Part(number: number, count: count)
            text = String(split.1)
        } else {
            part = nil
        }
        if let match = text.wholeMatch(of: Self.quantised) {
            name = String(match.1)
            quantisation = String(match.2)
        } else {
            name = text
            quantisation = nil
        }
    }

    /// The names of llama.cpp's file types, and of those that others derive from them.
    private static var quantised: Regex<(Substring, Substring, Substring)> {
        /(.+?)[-._]((?:ud-)?(?:i?q[1-9](?:_[a-z0-9]+)*|tq[12]_0|bf16|fp?16|fp?32|mxfp4(?:_moe)?|nvfp4))/
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "0"..."9", ".", "_", "-": true
        default: false
        }
    }
}
