import HTTPProtocols
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import Testing

struct StoredResponsesTests {
    private let accepted = Hearth_V1_ChatEvent.with { $0.accepted.model = "m:4b" }
    private let finished = Hearth_V1_ChatEvent.with { $0.finished.reason = .stop }
    private let usage = Hearth_V1_ChatEvent.with { $0.usage.completionTokens = 1 }
    private let failure = HTTPFailure(503, type: "server_error", "the agent has gone")
    private let own: [UInt8] = [1]

    private func said(_ text: String) -> Hearth_V1_ChatEvent { .with { $0.delta.text = text } }

    private func at(_ milliseconds: UInt64) -> Monotonic {
        Monotonic(nanoseconds: 0).advanced(milliseconds: milliseconds)
    }

    private func response(_ id: String, bodyBytes: Int = 100) throws -> StoredResponse {
        let request = try ResponsesRequest(Array(#"{"model": "m", "input": "Hi", "background": true}"#.utf8))
        return StoredResponse(request, AnswerStamp(id: id, created: 5), bodyBytes: bodyBytes)
    }

    private func stored(_ change: (inout StoredResponses.Limits) -> Void = { _ in }) -> StoredResponses {
        var limits = StoredResponses.Limits()
        change(&limits)
        return StoredResponses(limits)
    }

    private func status(_ response: StoredResponse) -> String? {
        response.object.text.firstMatch(of: /"completed_at":\w+,"status":"(\w+)"/).map { String($0.1) }
    }

    @Test func `a response waits, is computed, and is whole`() throws {
        var response = try response("1")
        #expect(response.id == "resp_1" && status(response) == "queued" && !response.isOver)
        try response.receive(accepted)
        try response.receive(said("Hel"))
        #expect(status(response) == "in_progress")
        try response.receive(said("lo"))
        try response.receive(finished)
        #expect(status(response) == "in_progress" && !response.isOver, "what it costs is still to come")
        try response.receive(usage)
        #expect(status(response) == "completed" && response.isOver)
        #expect(response.object.text.contains(#""text":"Hello""#))
        #expect(response.object.text.contains(#""store":true,"background":true"#))
        response.fail(failure)
        #expect(response.failure == nil, "what is whole stays whole")
    }

    @Test func `one that failed or was cancelled says so, with what came before`() throws {
        for (failure, expected) in [(failure, "failed"), (.responseCancelled, "cancelled")] {
            var response = try response("1")
            try response.receive(accepted)
            try response.receive(said("Hel"))
            response.fail(failure)
            #expect(status(response) == expected && response.isOver)
            #expect(response.object.text.contains(#""text":"Hel""#))
            #expect(response.object.text.contains("the agent has gone") == (expected == "failed"))
            try response.receive(said("lo"))
            #expect(response.eventCount == 2, "nothing comes any more")
        }
    }

    @Test func `another bridge has a response as it is, and whose it is, and how it ended`() throws {
        let body = """
            {"model": "m", "input": "Hi", "background": true, "instructions": "be \\"brief\\"", "temperature": 0.70,
             "max_output_tokens": 9, "metadata": {"a": "b"}, "top_p": 0.9, "text": {"format": {"type": "text"}},
             "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}], "tool_choice": "auto"}
            """
        let asked = try ResponsesRequest(Array(body.utf8))
        for failure in [nil, failure, .responseCancelled] {
            var (first, second) = (stored(), stored())
            let response = StoredResponse(asked, AnswerStamp(id: "1", created: 5), bodyBytes: body.utf8.count)
            try first.insert(response, of: own, at: at(0))
            let begun = try #require(first.record("resp_1"))
            #expect(second.insert(begun, at: at(1)) == true)
            for event in [accepted, said("Hel"), said("lo")] { _ = first.receive(event, of: "resp_1", at: at(2)) }
            if let failure {
                first.fail("resp_1", failure, at: at(3))
            } else {
                for event in [finished, usage] { _ = first.receive(event, of: "resp_1", at: at(3)) }
            }
            #expect(try #require(first.record("resp_1")).ended == 3_000_000)
            let before = try first.response("resp_1", of: own)
            for bytes in before.encodedEvents(behind: 0, most: 9) {
                _ = second.receive(try Hearth_V1_ChatEvent(serializedBytes: bytes), of: "resp_1", at: at(4))
            }
            if let failure = before.failure {
                let told = Hearth_Handover_V1_ResponseFailure("resp_1", failure)
                #expect(told.failure == failure)
                second.fail("resp_1", told.failure, at: at(4))
            }
            let after = try second.response("resp_1", of: own)
            #expect(after.object.text == before.object.text && after.byteCount == before.byteCount)
            #expect(after.object.text.contains(#""instructions":"be \"brief\"""#))
            #expect(throws: HTTPFailure.self) { try second.response("resp_1", of: [2]) }
        }
    }

    @Test func `one that has ended is kept no longer for being passed on, and what no bridge has written is not taken`()
        throws
    {
        var (first, second) = (stored(), stored { $0.countMax = 1 })
        try first.insert(try response("1"), of: own, at: at(0))
        first.fail("resp_1", failure, at: at(5_000))
        let record = try #require(first.record("resp_1"))
        for change: (inout StoredResponse.Record) -> Void in [
            { $0.id = "1" }, { $0.asked = "" }, { $0.asked = "[]" }, { $0.asked = #"{"tools": []}"# },
            { $0.bodyBytes = .max },
        ] {
            var changed = record
            change(&changed)
            #expect(second.insert(changed, at: at(6_000)) == false)
        }
        #expect(second.insert(record, at: at(6_000)) == true)
        second.fail("resp_1", failure, at: at(7_000))
        second.removeOld(at: at(604_999))
        #expect(second.ids == ["resp_1"])
        second.removeOld(at: at(605_000))
        #expect(second.ids.isEmpty)
        // There is no place.
        try second.insert(try response("2"), of: own, at: at(0))
        #expect(second.insert(record, at: at(8_000)) == false)
    }

    @Test func `a stream has its numbers, and behind each of them the rest`() throws {
        var response = try response("1")
        for event in [accepted, said("Hel"), said("lo"), finished, usage] { try response.receive(event) }
        func stream(after: Int64?) throws -> [String] {
            var answer = response.stream(after: after)
            let text = try answer.begin() + response.events(behind: 0, most: 9).map { try answer.receive($0) }.joined()
            return text.split(separator: "\n\n").map(String.init)
        }
        let whole = try stream(after: nil)
        #expect(whole.last == "data: [DONE]")
        for (number, event) in whole.dropLast().enumerated() {
            #expect(event.hasPrefix("id: \(number)\nevent: response."))
            #expect(event.contains(#","sequence_number":\#(number),"#))
            #expect(try stream(after: Int64(number)) == Array(whole[(number + 1)...]))
        }
        #expect(response.events(behind: 1, most: 2) == [said("Hel"), said("lo")])
        #expect(response.events(behind: 5, most: 2).isEmpty && response.eventCount == 5)
        #expect(whole[0].contains("event: response.created\n") && whole[0].contains(#""status":"queued""#))
        #expect(whole[1].contains("event: response.queued\n") && whole[2].contains("event: response.in_progress\n"))
    }

    @Test func `a response belongs to its caller`() throws {
        var stored = stored()
        try stored.insert(response("1"), of: own, at: at(0))
        #expect(try stored.response("resp_1", of: own).id == "resp_1")
        for (id, caller) in [("resp_1", [2]), ("resp_1", []), ("resp_2", own)] as [(String, [UInt8])] {
            #expect { _ = try stored.response(id, of: caller) } throws: { ($0 as? HTTPFailure)?.statusCode == 404 }
        }
    }

    @Test func `it is kept for its time after its end, and before as long as it takes`() throws {
        var stored = stored { $0.keptMilliseconds = 1_000 }
        try stored.insert(response("1"), of: own, at: at(0))
        stored.removeOld(at: at(50_000))
        var isWanted = true
        for event in [accepted, finished] { isWanted = stored.receive(event, of: "resp_1", at: at(50_000)) && isWanted }
        #expect(isWanted)
        isWanted = stored.receive(usage, of: "resp_1", at: at(50_000))
        #expect(!isWanted, "it is over")
        stored.removeOld(at: at(50_999))
        #expect(stored.count == 1)
        stored.removeOld(at: at(51_000))
        #expect(stored.count == 0)
        isWanted = stored.receive(accepted, of: "resp_1", at: at(51_000))
        #expect(!isWanted)
    }

    @Test func `those that are over make room, the caller's own where that is full, and others never`() throws {
        var stored = stored { ($0.countMax, $0.countOfCallerMax) = (4, 2) }
        try stored.insert(response("other"), of: [9], at: at(0))
        stored.fail("resp_other", failure, at: at(0))
        try stored.insert(response("1"), of: own, at: at(1))
        try stored.insert(response("2"), of: own, at: at(2))
        #expect { try stored.insert(response("3"), of: own, at: at(3)) } throws: {
            ($0 as? HTTPFailure)?.statusCode == 429
        }
        stored.fail("resp_2", failure, at: at(4))
        stored.fail("resp_1", failure, at: at(5))
        try stored.insert(response("3"), of: own, at: at(6))
        #expect(throws: HTTPFailure.self) { try stored.response("resp_2", of: own) }
        #expect(try stored.response("resp_1", of: own).isOver)
        #expect(try stored.response("resp_other", of: [9]).isOver)
        // All places are taken: that which has been over for longest goes, whosever it is.
        try stored.insert(response("4"), of: [8], at: at(7))
        try stored.insert(response("5"), of: [7], at: at(8))
        #expect(throws: HTTPFailure.self) { try stored.response("resp_other", of: [9]) }
        #expect(stored.count == 4)
    }

    @Test func `what is kept is bounded for each and for all`() throws {
        var stored = stored { ($0.bytesMax, $0.responseBytesMax) = (20_000, 8_000) }
        try stored.insert(response("1"), of: own, at: at(0))
        var isWanted = stored.receive(accepted, of: "resp_1", at: at(0))
        isWanted = stored.receive(said(String(repeating: "x", count: 3_000)), of: "resp_1", at: at(0)) && isWanted
        #expect(isWanted)
        isWanted = stored.receive(said(String(repeating: "x", count: 3_000)), of: "resp_1", at: at(0))
        #expect(!isWanted)
        #expect(try stored.response("resp_1", of: own).failure?.code == "response_too_large")
        // Its place is given to one that needs it, and one that needs too much has none.
        try stored.insert(response("2", bodyBytes: 15_000), of: own, at: at(1))
        #expect(stored.count == 1)
        #expect { try stored.insert(response("3", bodyBytes: 15_000), of: [2], at: at(2)) } throws: {
            ($0 as? HTTPFailure)?.retryAfterSeconds != nil
        }
    }

    @Test func `an answer of a hundred thousand tokens can be stored`() throws {
        var stored = stored()
        try stored.insert(response("1"), of: own, at: at(0))
        var isWanted = stored.receive(accepted, of: "resp_1", at: at(0))
        for seq in 0..<100_000 {
            var event = said("token")
            (event.seq, event.delta.tokenCount) = (UInt64(seq), 1)
            isWanted = stored.receive(event, of: "resp_1", at: at(0)) && isWanted
        }
        #expect(isWanted)
        #expect(try stored.response("resp_1", of: own).events(behind: 100_000, most: 9).map(\.seq) == [99_999])
    }

    @Test func `one that grows takes the place of those that are over, and not of those that are computed`() throws {
        var stored = stored { ($0.bytesMax, $0.responseBytesMax) = (10_000, 9_000) }
        for (number, id) in ["1", "2", "3"].enumerated() {
            try stored.insert(response(id, bodyBytes: 2_000), of: own, at: at(UInt64(number)))
        }
        stored.fail("resp_1", failure, at: at(3))
        var isWanted = stored.receive(accepted, of: "resp_3", at: at(4))
        isWanted = stored.receive(said(String(repeating: "x", count: 2_000)), of: "resp_3", at: at(4)) && isWanted
        #expect(isWanted && stored.count == 2, "the one that is over has made room")
        #expect(try !stored.response("resp_2", of: own).isOver)
        isWanted = stored.receive(said(String(repeating: "x", count: 1_000)), of: "resp_3", at: at(5))
        #expect(!isWanted)
        #expect(try stored.response("resp_3", of: own).failure?.code == "response_too_large")
        #expect(try !stored.response("resp_2", of: own).isOver)
    }

    @Test func `an event that breaks the protocol ends the response`() throws {
        var stored = stored()
        try stored.insert(response("1"), of: own, at: at(0))
        let isWanted = stored.receive(said("x"), of: "resp_1", at: at(0))
        #expect(!isWanted)
        #expect(try stored.response("resp_1", of: own).failure?.statusCode == 502)
        stored.fail("resp_1", failure, at: at(1))
        #expect(try stored.response("resp_1", of: own).failure?.statusCode == 502, "the first reason stays")
    }
}
