package import SandboxPolicy
package import SeccompFilter

extension PolicyFolder {
    /// For each call the policies that would let it pass, the least exposing first. A policy that cannot be read allows
    /// nothing.
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
