import Foundation
import TestPlaces
import Testing

/// The page that says which layers stop which act is made by a script; it must not fall behind the probe.
@Suite struct EscapePageTests {
    @Test("Docs/escape-suite.md names every act of the probe once, in the probe's words")
    func everyAct() throws {
        let stage = try Stage()
        let list = try stage.program("sandbox-probe", ["list"])
        let acts = try list.readToEnd().split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
        try #require(list.waitForExit() == 0 && acts.allSatisfy { $0.count == 3 })
        let page = try String(contentsOfFile: "\(Repository.root)/Docs/escape-suite.md", encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { row in
            row.split(separator: "|", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let told = rows.map { [$0[1].trimmingCharacters(in: ["`"]), $0[2]] }
        #expect(told == acts.map { [$0[0], $0[2]] }, "make the page again: Scripts/escape-table")
        // An act that is live and that nothing stops would stand there without a layer.
        for row in rows where row[3] == "yes" { #expect(!row[4].isEmpty && !row[4].contains("none"), "\(row[1])") }
    }
}
