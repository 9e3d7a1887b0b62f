internal import LaunchPlan
internal import SeccompFilter

/// Counts calls by kind: a bounded number of kinds, and one more entry for all further kinds.
struct CallKinds {
    private struct Entry {
        var call: SupervisedCall
        var toldCount: UInt64
    }

    private let masks: [UInt32: UInt8]
    private var entries: [Entry] = []
    private var positions: [SystemCall: Int] = [:]

    init(telling: [TellingArguments]) {
        masks = Dictionary(telling.map { ($0.call, $0.mask) }, uniquingKeysWith: { $0 | $1 })
    }

    var indices: Range<Int> { entries.indices }
    subscript(index: Int) -> SupervisedCall { entries[index].call }
    func isNews(_ index: Int) -> Bool { entries[index].call.count != entries[index].toldCount }
    private(set) var hasNews = false

    mutating func told(_ index: Int) {
        entries[index].toldCount = entries[index].call.count
        hasNews = indices.contains { isNews($0) }
    }

    /// Counts a call; returns whether its kind is new.
    mutating func note(_ call: SystemCall, errno: UInt16) -> Bool {
        hasNews = true
        let kind = kind(of: call)
        if let position = positions[kind] {
            entries[position].call.count &+= 1
            return false
        }
        let isBeyond = positions.count >= LaunchPlan.Bounds.callKindsMax
        let key = isBeyond ? SystemCall(SupervisedCall.otherKinds) : kind
        if let position = positions[key] {
            entries[position].call.count &+= 1
            return false
        }
        positions[key] = entries.count
        entries.append(Entry(call: SupervisedCall(isBeyond ? key : call, errno: errno, count: 1), toldCount: 0))
        return true
    }

    private func kind(of call: SystemCall) -> SystemCall {
        let mask = masks[call.number] ?? 0
        var kind = SystemCall(call.number)
        if mask != 0 {
            kind.arguments = call.arguments.enumerated().map { mask & (1 << UInt8($0.offset)) != 0 ? $0.element : 0 }
        }
        return kind
    }
}
