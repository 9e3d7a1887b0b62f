import Testing

@testable import ChatTerminal

struct AnswerResumptionTests {
    private let start = ContinuousClock.now

    private func expect<Value: Equatable>(
        _ value: Value, _ expected: Value, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(value == expected, sourceLocation: location)
    }

    @Test func `a lost connection is a reason to go on, as often as it is lost`() {
        var resumption = AnswerResumption()
        for _ in 0..<5 { expect(resumption.mayHelp(isLoss: true, isOpen: false, at: start), true) }
    }

    @Test func `another end is the answer's own`() {
        var resumption = AnswerResumption()
        expect(resumption.mayHelp(isLoss: false, isOpen: true, at: start), false)
        expect(resumption.mayHelp(isLoss: false, isOpen: false, at: start), false)
    }

    @Test func `an end on a connection that holds is asked after once, and once more behind every piece`() {
        var resumption = AnswerResumption()
        expect(resumption.mayHelp(isLoss: true, isOpen: true, at: start), true)
        expect(resumption.mayHelp(isLoss: true, isOpen: true, at: start), false)
        resumption.progressed()
        expect(resumption.mayHelp(isLoss: true, isOpen: true, at: start), true)
    }

    @Test func `it waits longer and longer, and as long as the host keeps the answer`() {
        var resumption = AnswerResumption()
        expect(resumption.mayHelp(isLoss: true, isOpen: false, at: start), true)
        let pauses = (0..<8).map { _ in resumption.pause(isLocal: false, at: start) }
        expect(pauses.compactMap { $0 }.map { $0 / .milliseconds(100) }, [1, 2, 4, 8, 16, 32, 50, 50])
        expect(resumption.pause(isLocal: false, at: start + .seconds(59)), .seconds(5))
        expect(resumption.pause(isLocal: false, at: start + .seconds(60)), nil)
        resumption.progressed()
        expect(resumption.mayHelp(isLoss: true, isOpen: false, at: start + .seconds(70)), true)
        expect(resumption.pause(isLocal: false, at: start + .seconds(70)), .milliseconds(100))
    }

    @Test func `an agent of this machine that cannot be reached has ended`() {
        var resumption = AnswerResumption()
        expect(resumption.mayHelp(isLoss: true, isOpen: false, at: start), true)
        expect(resumption.pause(isLocal: true, at: start), nil)
    }
}
