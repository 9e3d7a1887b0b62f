internal import Glibc
package import LaunchPlan
internal import StrictJSON

/// The policies that are installed: the files `NAME.json` of one folder. Reads them anew each time.
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

    /// The file that a word of a command line means: a path where it has a '/' or ends in ".json", otherwise a name.
    package func file(meant word: String) -> String {
        word.contains("/") || word.hasSuffix(".json") ? word : "\(path)/\(word).json"
    }

    /// The policy that a word of a command line means. Throws with the nearest name where there is none.
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

    /// For each call those that would let it pass, the least exposing first. A policy that cannot be read allows nothing.
    package func allowing(_ calls: [SystemCall]) -> [[String]] {
        let names = (try? names()) ?? []
        let effective = names.compactMap { name in
            (try? EffectivePolicy(SeccompPolicy.named(name, in: path))).map {
                (name: name, policy: $0, score: PolicyScore($0).value)
            }
        }.sorted { ($0.score, $0.name) < ($1.score, $1.name) }
        return calls.map { call in effective.filter { $0.policy.action(on: call).letsPass }.map(\.name) }
    }
}
