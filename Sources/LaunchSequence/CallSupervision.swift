internal import Glibc
internal import LaunchPlan
internal import LinuxSystem

/// Decides the system calls that a backend's filter does not decide alone, and tells the agent of those that it denies.
///
/// The launcher loads the plan's filter in a form that puts every denied call to this supervisor, which answers with the
/// errno that the filter itself would have given: `FilterProgram` says which. A call is only told of, never let pass,
/// so nothing depends on what the caller's memory holds. The one exec that the launcher makes passes; later ones never.
struct CallSupervision: ~Copyable {
    private static let secondInNanoseconds: UInt64 = 1_000_000_000

    private let listener: SeccompListener
    private let filter: FilterProgram
    private let executesOnce: Bool
    private var hasExecuted = false
    private var kinds: CallKinds
    private var lastReport = Monotonic.now()

    init(listener: CInt, plan: LaunchPlan, filter: FilterProgram) {
        self.listener = SeccompListener(owning: listener)
        self.filter = filter
        executesOnce = plan.layers.contains(.execOnce)
        kinds = CallKinds(telling: plan.tellingArguments)
    }

    var raw: CInt { listener.raw }

    /// How long until counts that grew are told of; nil when there are none.
    var nanosecondsToReport: Int64? {
        guard kinds.hasNews else { return nil }
        let passed = Monotonic.now().since(lastReport)
        return passed >= Self.secondInNanoseconds ? 0 : Int64(Self.secondInNanoseconds - passed)
    }

    /// Answers one call. `willExecute` runs before the launcher's own exec passes.
    mutating func answer(willExecute: () throws(LinuxError) -> Void) throws(LinuxError) {
        guard let waiting = try listener.receive() else { return }
        var call = SystemCall(waiting.number, waiting.arguments, architecture: waiting.architecture)
        call.instructionPointer = waiting.instructionPointer
        switch filter.verdict(on: call) {
        case .notify where !hasExecuted || !executesOnce:
            if !hasExecuted { try willExecute() }
            hasExecuted = true
            try listener.answer(waiting, errno: 0)
        case .log:
            try listener.answer(waiting, errno: 0)
            if kinds.note(call, errno: 0) { report() }
        case .errno(let number):
            try listener.answer(waiting, errno: CInt(number))
            if kinds.note(call, errno: number) { report() }
        default:
            try listener.answer(waiting, errno: ENOSYS)
            if kinds.note(call, errno: UInt16(ENOSYS)) { report() }
        }
    }

    /// Tells the agent what it has not been told. What the pipe does not take is told next time.
    mutating func report() {
        lastReport = .now()
        for index in kinds.indices where kinds.isNews(index) {
            let record = kinds[index].encoded()
            guard write(LaunchDescriptor.report, record, record.count) == record.count else { return }
            kinds.told(index)
        }
    }
}

/// Calls counted by kind; so many kinds, and one more for all that are beyond.
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

    /// Counts a call; whether its kind is new.
    mutating func note(_ call: SystemCall, errno: UInt16) -> Bool {
        hasNews = true
        let kind = kind(of: call)
        if let position = positions[kind] {
            entries[position].call.count &+= 1
            return false
        }
        let isBeyond = positions.count >= LaunchPlanLimits.callKindsMax
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
