import GRPC
import Testing

@testable import InferenceService

struct RequestOrderTests {
    private func order(_ method: RequestOrder.Method, turnsMax: Int = 10) -> RequestOrder {
        RequestOrder(method, turnsMax: turnsMax)
    }

    /// One that answers a request.
    private func answering(_ method: RequestOrder.Method, turnsMax: Int = 10) -> RequestOrder {
        var order = order(method, turnsMax: turnsMax)
        expect(begin(&order), .answer)
        return order
    }

    private func begin(_ order: inout RequestOrder) -> RequestOrder.Action {
        let first = order.messageCame()
        return first == .nothing ? order.requestCame() : first
    }

    /// `#expect` cannot call what mutates.
    private func expect(
        _ action: RequestOrder.Action, _ expected: RequestOrder.Action, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(action == expected, sourceLocation: location)
    }

    private func expectEnd(
        _ action: RequestOrder.Action, _ code: Status.Code, at location: SourceLocation = #_sourceLocation
    ) {
        guard case .end(let status) = action else {
            Issue.record("\(action)", sourceLocation: location)
            return
        }
        #expect(status.code == code, sourceLocation: location)
    }

    @Test func `a stream of Chat has turn after turn, and ends with the client's end`() {
        var order = order(.chat)
        for _ in 0..<3 {
            expect(begin(&order), .answer)
            expect(order.answered(), .nothing)
        }
        expect(order.endCame(), .end(.ok))
        #expect(order.isOver)
    }

    @Test func `a client that has said all gets the running turn to its end`() {
        var order = answering(.chat)
        expect(order.endCame(), .nothing)
        #expect(!order.isOver)
        expect(order.answered(), .end(.ok))
    }

    @Test func `a client that has said all may still see its turn fail`() {
        var order = answering(.chat)
        expect(order.endCame(), .nothing)
        expectEnd(order.refuse(Status(.unavailable)), .unavailable)
        expect(order.answered(), .nothing)
    }

    @Test func `a second request while one is answered ends the call`() {
        var order = answering(.chat)
        expectEnd(begin(&order), .failedPrecondition)
        #expect(order.isOver)
        // The turn that was let go may still end.
        expect(order.answered(), .nothing)
        expect(order.refuse(Status(.unavailable)), .nothing)
    }

    @Test func `a stream has so many turns`() {
        var order = order(.chat, turnsMax: 2)
        for _ in 0..<2 {
            expect(begin(&order), .answer)
            expect(order.answered(), .nothing)
        }
        let action = begin(&order)
        expectEnd(action, .resourceExhausted)
        if case .end(let status) = action { #expect(status.limit == "turnsPerStreamMax") }
    }

    @Test func `a cancel is for the answer that runs, and none when none does`() {
        var order = order(.chat)
        expect(order.cancelCame(), .nothing)
        expect(begin(&order), .answer)
        expect(order.cancelCame(), .cancelAnswer)
        expect(order.cancelCame(), .cancelAnswer)
        expect(order.answered(), .nothing)
        expect(order.cancelCame(), .nothing)
        expect(begin(&order), .answer)
        order.gone()
        expect(order.cancelCame(), .nothing)
    }

    @Test(arguments: [RequestOrder.Method.chat, .generate, .countTokens, .applyTemplate])
    func `what cannot be read or answered ends the call, once`(_ method: RequestOrder.Method) {
        var unread = order(method)
        expect(unread.messageCame(), .nothing)
        expectEnd(unread.refuse(Status(.invalidArgument)), .invalidArgument)
        expect(unread.refuse(Status(.invalidArgument)), .nothing)
        var unanswered = answering(method)
        expectEnd(unanswered.refuse(Status(.notFound)), .notFound)
        expect(unanswered.endCame(), .nothing)
    }

    @Test(arguments: [RequestOrder.Method.generate, .countTokens, .tokenize])
    func `a method of one request ends with its answer, whatever the client still may say`(
        _ method: RequestOrder.Method
    ) {
        var order = answering(method)
        expect(order.answered(), .end(.ok))
        var ended = answering(method)
        expect(ended.endCame(), .nothing)
        expect(ended.answered(), .end(.ok))
    }

    @Test(arguments: [RequestOrder.Method.generate, .countTokens, .tokenize])
    func `a method of one request takes no second, and is not ended without the first`(_ method: RequestOrder.Method) {
        var second = answering(method)
        expectEnd(second.messageCame(), .internalError)
        expect(second.answered(), .nothing)
        var none = order(method)
        expectEnd(none.endCame(), .internalError)
        // What has come is still being read.
        var reading = order(method)
        expect(reading.messageCame(), .nothing)
        expect(reading.endCame(), .nothing)
        expect(reading.requestCame(), .answer)
    }

    @Test(arguments: [RequestOrder.Method.chat, .generate, .countTokens, .applyTemplate])
    func `nothing means anything once the call is gone`(_ method: RequestOrder.Method) {
        for isAnswering in [false, true] {
            var order = isAnswering ? answering(method) : order(method)
            order.gone()
            #expect(order.isOver)
            expect(order.messageCame(), .nothing)
            expect(order.requestCame(), .nothing)
            expect(order.cancelCame(), .nothing)
            expect(order.answered(), .nothing)
            expect(order.refuse(Status(.unavailable)), .nothing)
            expect(order.endCame(), .nothing)
        }
    }
}
