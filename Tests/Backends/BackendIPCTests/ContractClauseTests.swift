import BackendIPC
import Foundation
import TestPlaces
import Testing

@Suite("The clauses of the contract")
struct ContractClauseTests {
    /// A row of one of the document's tables.
    private struct Row: Equatable {
        let number: String
        let text: String
        /// "yes", or "no: " and why.
        let isReported: String
        /// "yes", or what it depends on.
        let isTried: String
    }

    @Test("the document has the same numbers, texts, reasons and trials, in the same order")
    func document() throws {
        let text = try String(contentsOfFile: Repository.root + "/Docs/backend-contract.md", encoding: .utf8)
        let rows = text.split(separator: "\n").compactMap { line -> Row? in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 4, cells[0].first?.isNumber == true else { return nil }
            return Row(number: cells[0], text: cells[1], isReported: cells[2], isTried: cells[3])
        }
        let clauses = ContractClause.allCases.map { clause in
            Row(
                number: clause.number, text: clause.text, isReported: clause.whyUnchecked.map { "no: \($0)" } ?? "yes",
                isTried: clause.trial)
        }
        for (row, clause) in zip(rows, clauses) { #expect(row == clause) }
        #expect(rows.count == clauses.count)
    }

    @Test("in each group the numbers rise by one, and so do the groups")
    func numbers() {
        var last = (group: 0, clause: 0)
        for clause in ContractClause.allCases {
            let parts = clause.number.split(separator: ".").compactMap { Int($0) }
            let next = parts.first == last.group ? [last.group, last.clause + 1] : [last.group + 1, 1]
            #expect(parts == next, "\(clause.number)")
            last = (next[0], next[1])
        }
    }

    @Test("a violation names its clause behind its sentence")
    func violation() {
        let violation = ContractViolation(.credit, "the sequence 0 sent 2 tokens with a credit of 1")
        #expect(violation.description == "the sequence 0 sent 2 tokens with a credit of 1 (clause 4.3)")
        #expect(ContractViolation(byAgent: "Start came after Shutdown").description == "Start came after Shutdown")
    }

    @Test(
        "what cannot be decoded names the clause that it breaks",
        arguments: [
            ([UInt8](), ContractClause.oneBody),
            ([0x7a, 0], .oneBody),
            ([0x1a, 0, 0x1a, 0], .oneBody),
            ([0x1f, 1], .wireFormat),
            ([0x1a, 100, 8, 1], .wireFormat),
            ([0x7a, 0x81, 0x08] + [UInt8](repeating: 0, count: 1_025), .unknownFields),
            ([0x1a, 0x81, 0x20] + [UInt8](repeating: 0, count: 4_097), .messageLength),
        ])
    func decoding(frame: [UInt8], clause: ContractClause) {
        let violation = #expect(throws: ContractViolation.self) {
            try frame.withUnsafeBytes { _ = try BackendMessage(decoding: $0) }
        }
        #expect(violation?.clause == clause)
    }
}
