internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SeccompFilter

/// The supervisor of a backend's filter: answers the system calls that the filter does not decide alone, and reports
/// denied ones to the agent.
///
/// The launcher loads the plan's filter in a form that passes every denied call to this supervisor, which answers with
/// the errno that `FilterProgram` computes from the original filter. It lets pass: the one exec that the launcher
/// makes, never a later one; calls that a policy logs, as in a learning run; and the opens that a policy passes to it,
/// all of which the policy would allow. No decision depends on the caller's memory, which the caller may change
/// meanwhile.
struct CallSupervision: ~Copyable {
    private static let secondInNanoseconds: UInt64 = 1_000_000_000

    private let listener: SeccompListener
    private let filter: FilterProgram
    private let executesOnce: Bool
    /// Whether the launcher's exec has passed.
    private var hasExecuted = false
    /// The launcher's exec, while it waits.
    private var execution: SeccompListener.Waiting?
    private var kinds: CallKinds
    private var lastReport = Monotonic.awake()

    init(listener: CInt, plan: LaunchPlan, filter: FilterProgram) {
        self.listener = SeccompListener(owning: listener)
        self.filter = filter
        executesOnce = plan.layers.contains(.execOnce)
        kinds = CallKinds(telling: plan.tellingArguments)
    }

    var raw: CInt { listener.raw }

    /// The time until grown counts are reported; nil when none have grown.
    var nanosecondsToReport: Int64? {
        guard kinds.hasNews else { return nil }
        let passed = Monotonic.awake().since(lastReport)
        return passed >= Self.secondInNanoseconds ? 0 : Int64(Self.secondInNanoseconds - passed)
    }

    /// What remains to be done after an answer.
    enum Remainder {
        case nothing
        /// The launcher's own exec waits for `letExecute`.
        case execution
        /// There is a kind of calls that was not reported yet.
        case newKind
    }

    /// Answers one call.
    mutating func answer() throws(LinuxError) -> Remainder {
        guard let waiting = try listener.receive() else { return .nothing }
        var call = SystemCall(waiting.number, waiting.arguments, architecture: waiting.architecture)
        call.instructionPointer = waiting.instructionPointer
        switch filter.verdict(on: call) {
        case .notify where call.number == SystemCall.openat:
            try answerOpen(waiting)
        case .notify where !hasExecuted:
            execution = waiting
            return .execution
        case .notify where !executesOnce:
            try listener.answer(waiting, errno: 0)
        case .log:
            try listener.answer(waiting, errno: 0)
            return kinds.note(call, errno: 0) ? .newKind : .nothing
        case .errno(let number):
            try listener.answer(waiting, errno: CInt(number))
            return kinds.note(call, errno: number) ? .newKind : .nothing
        default:
            try listener.answer(waiting, errno: ENOSYS)
            return kinds.note(call, errno: UInt16(ENOSYS)) ? .newKind : .nothing
        }
        return .nothing
    }

    /// Lets the launcher's own exec pass.
    mutating func letExecute() throws(LinuxError) {
        guard let waiting = execution else { return }
        execution = nil
        hasExecuted = true
        try listener.answer(waiting, errno: 0)
    }

    /// The state of a running thread in /proc/PID/stat (proc(5)), for runtimes that read the state of their own
    /// threads. libdispatch ends the program when it cannot open that file.
    private static let threadState = Array("1 (thread) R 0\n".utf8)

    /// Answers the open of a thread's state with that text, and lets every other open pass. The policy passes only
    /// opens to the supervisor that it would allow anyway, so a backend gains nothing by changing the path meanwhile.
    /// With a kernel that cannot pass a descriptor, the open fails with ENOENT.
    private func answerOpen(_ waiting: SeccompListener.Waiting) throws(LinuxError) {
        let path = listener.peek(waiting, at: waiting.arguments[1], count: ThreadStatePath.byteCountMax)
        guard ThreadStatePath.isOne(path) else { return try listener.answer(waiting, errno: 0) }
        do throws(LinuxError) {
            let pipe = try Descriptor.pipe()
            try pipe.second.writeAll(Self.threadState)
            try listener.answer(waiting, opening: pipe.first)
        } catch {
            try listener.answer(waiting, errno: ENOENT)
        }
    }

    /// Reports new kinds and grown counts to the agent. A report for which the socket has no room is sent next time.
    mutating func report() {
        lastReport = .awake()
        for index in kinds.indices where kinds.isNews(index) {
            guard AgentSocket.offer(.supervised(kinds[index])) else { return }
            kinds.told(index)
        }
    }
}
