import Foundation
import Testing

/// What every act of the probe came to, outside and in several sandboxes.
struct AuditReport {
    /// "done", the errno of the refusal, or how it ended; by act, then by sandbox.
    private var outcomes: [String: [String]] = [:]
    private let sandboxes: [String]
    /// In the probe's order.
    let acts: [String]

    /// - Parameters:
    ///   - sandboxes: as `sandbox-driver audit` takes them.
    ///   - acts: those to try; all when nil.
    init(_ sandboxes: [String], acts: [String]? = nil, options: [String] = []) throws {
        let stage = try Stage()
        let choice = acts.map { ["--acts", $0.joined(separator: ",")] } ?? []
        let outcome = try stage.run(["audit"] + choice + options + [stage.probe] + sandboxes)
        try #require(outcome.status == 0, "\(outcome.output)")
        let rows = outcome.lines.map { $0.split(separator: "\t").map(String.init) }
        for row in rows where row.count == sandboxes.count + 2 { outcomes[row[0]] = Array(row.dropFirst()) }
        try #require(outcomes.count == rows.count, "the audit did not come to its end: \(outcome.output)")
        self.sandboxes = sandboxes
        self.acts = rows.map { $0[0] }
    }

    /// Acts that succeed outside: only these prove something.
    var live: [String] { acts.filter { outcomes[$0]?.first == "done" } }

    /// Acts that succeed in a sandbox.
    func escaped(_ sandbox: String) -> [String] {
        guard let column = sandboxes.firstIndex(of: sandbox) else { return acts }
        return acts.filter { outcomes[$0]?[column + 1] == "done" }
    }

    func tellWhatProvesNothing() {
        let others = acts.filter { !live.contains($0) }
        if !others.isEmpty { print("refused outside too, so proving nothing here: \(others.joined(separator: ", "))") }
    }
}
