import Foundation
import LimitDeclaration
import Settings
import TestPlaces
import Testing

@testable import HostAgent

struct AgentLimitsTests {
    private let limits = AgentLimits(descriptors: DescriptorBudget(descriptors: 1_024), times: ConnectionTimes())

    /// The names in Docs/limits.md: `words` of several, in code.
    private func documented() throws -> Set<String> {
        let text = try String(contentsOfFile: Repository.root + "/Docs/limits.md", encoding: .utf8)
        return Set(text.matches(of: /`([a-z]+[A-Z][A-Za-z]+)`/).map { String($0.1) })
    }

    @Test func `nothing is in a group of limits that is none, and no two have the same name`() {
        func count(_ group: any LimitGroup) -> Int {
            Mirror(reflecting: group).children.reduce(0) { $0 + (($1.value as? any LimitGroup).map(count) ?? 1) }
        }
        #expect(limits.named.count == count(limits))
        #expect(Set(limits.named.map(\.name)).count == limits.named.count)
    }

    /// `hearth limits --met` leaves out what stands before it.
    @Test func `every limit says what it bounds without its neighbours`() {
        let leaning = /^(And|Before|Each|For|From|Its|Of|Such|Their|The same|Until|Without)\b/
        for limit in limits.named {
            #expect(limit.meaning.hasSuffix(".") && !limit.meaning.contains(leaning), "\(limit.name)")
        }
    }

    @Test func `the page about limits names only those that there are`() throws {
        #expect(try documented().subtracting(limits.named.map(\.name)).isEmpty)
    }

    @Test func `the page about limits names every one that whoever meets it is told of`() throws {
        #expect(Set(limits.named.filter(\.isCounted).map(\.name)).subtracting(try documented()).isEmpty)
    }
}
