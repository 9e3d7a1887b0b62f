/// Computes what the kernel would answer to a call, without making it.
extension FilterProgram {
    /// The filter's verdict on a call.
    package enum Verdict: Equatable, Sendable {
        case allow
        /// The call passes and is logged.
        case log
        /// A supervisor decides.
        case notify
        case errno(UInt16)
        case trap
        case killThread
        case killProcess
    }

    /// The verdict on a call.
    package func verdict(on call: SystemCall) -> Verdict {
        let answer = run(call)
        return switch answer & Answer.actionMask {
        case 0x7fff_0000: .allow
        case Answer.log: .log
        case Answer.notify: .notify
        case Answer.errno: .errno(UInt16(truncatingIfNeeded: answer))
        case 0x0003_0000: .trap
        case 0: .killThread
        default: .killProcess
        }
    }

    private func run(_ call: SystemCall) -> UInt32 {
        var accumulator: UInt32 = 0
        var position = 0
        // `init` has checked that jumps lead forward only, and that the last instruction is an answer.
        while position < instructions.count {
            let instruction = instructions[position]
            let value = instruction.value
            position += 1
            switch instruction.code {
            case Code.load: accumulator = call.word(at: value / 4)
            case Code.and: accumulator &= value
            case Code.jump: position += Int(value)
            case Code.jumpIfEqual: position += Int(accumulator == value ? instruction.yes : instruction.no)
            case Code.jumpIfGreater: position += Int(accumulator > value ? instruction.yes : instruction.no)
            case Code.jumpIfNotLess: position += Int(accumulator >= value ? instruction.yes : instruction.no)
            case Code.jumpIfAnyBit: position += Int(accumulator & value != 0 ? instruction.yes : instruction.no)
            default: return value
            }
        }
        return 0x8000_0000
    }
}
