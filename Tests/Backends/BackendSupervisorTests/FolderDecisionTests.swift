import Testing

@testable import BackendSupervisor

@Suite("FolderDecision")
struct FolderDecisionTests {
    private let standings: [FolderDecision.Standing] = [
        .idle, .running, .draining, .waiting, .yielding, .failed, .leaving, .resting,
    ]

    @Test("what did not change goes on as it stands")
    func unchanged() {
        let decisions = standings.map { FolderDecision($0, isSame: true, isSameAsRuns: true, weightsAreThere: false) }
        #expect(decisions == [.start, .keep, .start, .keep, .startAnew, .keep, .start, .start])
    }

    @Test("what changed is drained where it runs, and started anew where nothing runs")
    func changed() {
        let decisions = standings.map { FolderDecision($0, isSame: false, isSameAsRuns: false) }
        #expect(decisions == [.start, .drain, .drain, .startAnew, .startAnew, .startAnew, .drain, .start])
    }

    @Test("what drains goes on when it is again to be what it is, and else goes on draining")
    func revoked() {
        #expect(FolderDecision(.draining, isSame: false, isSameAsRuns: true) == .start)
        #expect(FolderDecision(.draining, isSame: true, isSameAsRuns: false) == .drain)
    }

    @Test("what failed is tried again once a file that it needs has changed")
    func failed() {
        #expect(FolderDecision(.failed, isSame: true, isSameAsRuns: true, filesHaveChanged: true) == .retry)
        #expect(FolderDecision(.running, isSame: true, isSameAsRuns: true, filesHaveChanged: true) == .keep)
    }

    @Test("what waits for its weights starts once they are there and whole")
    func waiting() {
        #expect(FolderDecision(.waiting, isSame: true, isSameAsRuns: true, weightsAreThere: true) == .retry)
        #expect(FolderDecision(.waiting, isSame: true, isSameAsRuns: true, weightsAreThere: false) == .keep)
    }

    @Test("one that is loaded on demand is not started, but made ready to be")
    func onDemand() {
        func decisions(isSame: Bool, changed: Bool = false, there: Bool = false) -> [FolderDecision] {
            standings.map {
                FolderDecision(
                    $0, isSame: isSame, isSameAsRuns: isSame, isOnDemand: true, filesHaveChanged: changed,
                    weightsAreThere: there)
            }
        }
        #expect(decisions(isSame: true) == [.rest, .keep, .start, .keep, .rest, .keep, .start, .keep])
        #expect(decisions(isSame: false) == [.rest, .drain, .drain, .rest, .rest, .rest, .drain, .keep])
        #expect(
            decisions(isSame: true, changed: true, there: true) == [
                .rest, .keep, .start, .rest, .rest, .rest, .start, .keep,
            ])
    }

    @Test("of two that claim a model the one yields for as long as the other serves it")
    func rivals() {
        for standing in standings {
            #expect(FolderDecision(standing, isSame: true, isSameAsRuns: true, rival: "b") == .yield(to: "b"))
        }
        #expect(FolderDecision(.yielding, isSame: true, isSameAsRuns: true) == .startAnew)
    }
}
