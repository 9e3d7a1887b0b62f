internal import Glibc
internal import StrictJSON

/// The installed policies: the files `NAME.json` of one folder, which are read anew each time.
package struct PolicyFolder: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    /// The names, sorted. Throws where the folder cannot be read.
    package func names() throws(SandboxPolicyError) -> [String] {
        guard let folder = opendir(path) else {
            throw SandboxPolicyError(file: path, "cannot list the policies: \(String(cString: strerror(errno)))")
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".json"), !name.hasPrefix(".") { names.append(String(name.dropLast(".json".count))) }
        }
        return names.sorted()
    }

    /// The file that a word of a command line names: by path if it has a '/' or ends in ".json", otherwise by name.
    package func file(meant word: String) -> String {
        word.contains("/") || word.hasSuffix(".json") ? word : "\(path)/\(word).json"
    }

    /// The policy that a word of a command line names. Throws with the nearest name where there is none.
    package func policy(meant word: String) throws(SandboxPolicyError) -> SeccompPolicy {
        if word.contains("/") || word.hasSuffix(".json") { return try SeccompPolicy.load(word) }
        let names = try names()
        guard names.contains(word) else {
            let hint = NearestName.hint(for: word, among: names)
            throw SandboxPolicyError(
                file: path, "no policy '\(word)'\(hint); there are \(names.joined(separator: ", "))")
        }
        return try SeccompPolicy.named(word, in: path)
    }
}
