internal import Foundation
internal import PolicyExplanation
internal import SandboxPolicy

/// The summary of a policy that the command line prints, as text and as JSON.
struct PolicySummary: Encodable {
    let name: String
    let file: String
    /// From 0.0 to 10.0, with one decimal.
    let exposure: String
    let exposureWord: String
    /// The action on calls that no rule names.
    let otherCalls: String
    let calls: [Call]
    let groups: [Group]
    /// The risks that comments declare with "Risk:".
    let declaredRisks: [String]
    let warnings: [String]

    struct Call: Encodable {
        let name: String
        let number: UInt32
        /// "allowed", "allowed and recorded", or the answer that the caller gets.
        let answer: String
        let isAllowed: Bool
        /// The conditions in words; empty where there are none.
        let conditions: String
        let comment: String
        let line: Int
    }

    struct Group: Encodable {
        let name: String
        let purpose: String
        let exposure: String
        /// "always", "under conditions" or "never".
        let allowed: String
        /// The calls with their conditions, for groups that count in the exposure.
        let details: [String]
    }

    init(_ effective: EffectivePolicy) {
        let policy = effective.policy
        let score = PolicyScore(effective)
        name = policy.name
        file = policy.file
        exposure = score.text
        exposureWord = score.word
        otherCalls = PolicySummary.answer(policy.defaultAction)
        calls = SyscallNames.all.flatMap { number, name in
            effective.rules(of: number).map { rule in
                Call(
                    name: name, number: number, answer: PolicySummary.answer(rule.action),
                    isAllowed: rule.action.letsPass, conditions: rule.conditionWords(call: number),
                    comment: rule.comment ?? "", line: rule.line)
            }
        }.sorted { ($0.name, $0.line) < ($1.name, $1.line) }
        groups = SyscallGroup.all.map { group in
            let reach = group.reach(in: effective)
            return Group(
                name: group.name, purpose: group.purpose, exposure: group.exposure,
                allowed: reach == .always ? "always" : reach == .sometimes ? "under conditions" : "never",
                details: reach == .sometimes && PolicySummary.isNotable(group) ? group.conditions(in: effective) : [])
        }
        declaredRisks = policy.rules.flatMap(\.declaredRisks)
        warnings = effective.remarks.map { "line \($0.line): \($0.text)" }
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// The groups that a policy allows and that not every program needs.
    static func notable(_ effective: EffectivePolicy) -> [SyscallGroup] {
        SyscallGroup.all.filter { isNotable($0) && $0.reach(in: effective) != .never }
    }

    private static func isNotable(_ group: SyscallGroup) -> Bool { group.risk > 10 }

    private static func answer(_ action: SeccompPolicy.Action) -> String {
        switch action {
        case .allow: "allowed"
        case .log: "allowed and recorded"
        case .errno(let number): ErrorNumber.name(number)
        case .killProcess: "the end of the backend"
        case .killThread: "the end of the thread"
        case .trap: "SIGSYS"
        case .notify: "the launcher's decision"
        }
    }
}
