internal import HandOver
internal import InferenceMessages
internal import LaunchPlan
internal import LinuxSystem
internal import SwiftProtobuf

// What an agent has left that died, as the next one keeps it before it goes on with it. Where that one dies, too, before it has
// gone on with everything, the agent after it finds these copies, and behind them what was written down anew meanwhile.
extension LeftParcels {
    /// For this agent's own holder.
    func copies() throws(LinuxError) -> [Parcel] {
        var copies: [Parcel] = []
        for (index, parcel) in parcels.enumerated() {
            let copy = try parcel.duplicate()
            let (key, bytes) = (Self.key(ofCopy: parcel, at: index), Self.bytes(ofCopy: parcel))
            copies.append(Parcel(parcel.kind, key: key, bytes, owning: copy.takeAll()))
        }
        return copies
    }

    /// The keys of copies of turns, which are let go of once all of them go on: their number here is another one.
    var keysOfTurns: [UInt64] {
        parcels.enumerated().filter { $1.kind == .turn }.map { Self.key(ofCopy: $1, at: $0) }
    }

    /// A backend keeps its key, in whose place its next description comes. Turns have 63 bits with another highest one
    /// (`HeldTurns`).
    nonisolated static func key(ofCopy parcel: Parcel, at index: Int) -> UInt64 {
        parcel.kind == .turn ? 3 << 62 | UInt64(index) : parcel.key
    }

    /// The holder that has given a backend has frozen it, which its keeper answers before all that is asked later.
    nonisolated static func bytes(ofCopy parcel: Parcel) -> [UInt8] {
        guard parcel.kind == .backend, var message = try? Hearth_Handover_V1_Backend(serializedBytes: parcel.bytes)
        else {
            return parcel.bytes
        }
        message.keeper.unanswered.append(UInt32(KeeperCommand.freeze.rawValue))
        return (try? message.serializedBytes()) ?? parcel.bytes
    }

    /// Of records of turns, in the order in which they were begun, those that stand for their turns: the last of each, which an
    /// agent wrote down that had gone on with an earlier one. Of what was begun, and not written down, nobody was told anything.
    nonisolated static func latest(of records: [[UInt8]]) -> [[UInt8]] {
        let tokens = records.map { record -> [UInt8] in
            guard let turn = try? Hearth_Handover_V1_Turn(serializedBytes: record) else { return [] }
            return Array(turn.resumption.tokenSha256)
        }
        return records.indices.filter { index in
            !records[index].isEmpty && (tokens[index].isEmpty || !tokens[(index + 1)...].contains(tokens[index]))
        }.map { records[$0] }
    }

    /// Whether a backend's process is among what was left, by the message that describes it.
    func has(backend bytes: [UInt8]) -> Bool {
        func process(_ bytes: [UInt8]) -> Int32? {
            (try? Hearth_Handover_V1_Backend(serializedBytes: bytes))?.processID
        }
        return parcels.contains { $0.kind == .backend && process($0.bytes) == process(bytes) }
    }
}
