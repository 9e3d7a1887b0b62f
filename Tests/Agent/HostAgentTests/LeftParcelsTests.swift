import Foundation
import HandOver
import InferenceMessages
import SwiftProtobuf
import Testing

@testable import HostAgent

struct LeftParcelsTests {
    private func record(_ token: [UInt8], _ failures: UInt32) throws -> [UInt8] {
        let turn = Hearth_Handover_V1_Turn.with {
            $0.resumption.tokenSha256 = .init(token)
            $0.failures = failures
        }
        return try turn.serializedBytes()
    }

    @Test func `a backend keeps its key, and turns have others than those of this agent`() {
        #expect(LeftParcels.key(ofCopy: Parcel(.backend, key: 7), at: 3) == 7)
        let first = UInt64(3) << 62
        let keys: [UInt64] = [0, 1, 1 << 63, 1 << 63 | 5]
        for (index, key) in keys.enumerated() {
            #expect(LeftParcels.key(ofCopy: Parcel(.turn, key: key), at: index) == first | UInt64(index))
        }
    }

    @Test func `the copy of a backend says once more that its keeper was asked to freeze it`() throws {
        var backend = Hearth_Handover_V1_Backend.with {
            $0.version = 1
            $0.name = "echo"
            $0.keeper.unanswered = [1, 2]
        }
        for freezes in 1...2 {
            let parcel = Parcel(.backend, key: 7, try backend.serializedBytes())
            backend = try Hearth_Handover_V1_Backend(serializedBytes: LeftParcels.bytes(ofCopy: parcel))
            #expect(backend.keeper.unanswered == [1, 2] + [UInt32](repeating: 1, count: freezes))
            #expect(backend.name == "echo")
        }
        #expect(LeftParcels.bytes(ofCopy: Parcel(.backend, [0xff])) == [0xff], "of another version")
        #expect(LeftParcels.bytes(ofCopy: Parcel(.turn, [8, 1])) == [8, 1])
    }

    @Test func `of records of one turn the last stands for it`() throws {
        let first = [try record([1], 1), try record([2], 1), try record([3], 1)]
        #expect(LeftParcels.latest(of: []) == [])
        #expect(LeftParcels.latest(of: first) == first)
        let later = [try record([2], 2), try record([1], 2), try record([4], 1)]
        #expect(LeftParcels.latest(of: first + later) == [first[2]] + later)
        // One of which nothing was written down is none, and one that is not understood stands for no other.
        #expect(LeftParcels.latest(of: first + [[], [0xff], []]) == first + [[0xff]])
    }
}
