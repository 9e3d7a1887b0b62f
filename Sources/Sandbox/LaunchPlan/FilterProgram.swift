/// A seccomp filter as the kernel takes it, read and checked (seccomp(2), linux/filter.h): tells the verdict on a call
/// without making it. A plain value; only the instructions that libseccomp and this package emit are known.
package struct FilterProgram: Equatable, Sendable {
    /// struct sock_filter.
    private struct Instruction: Equatable {
        var code: UInt16
        var yes: UInt8
        var no: UInt8
        var value: UInt32
    }

    /// What the filter says about a call.
    package enum Verdict: Equatable, Sendable {
        case allow
        /// Let pass, and told of.
        case log
        /// A supervisor decides.
        case notify
        case errno(UInt16)
        case trap
        case killThread
        case killProcess
    }

    private var instructions: [Instruction]

    /// Reads instructions of 8 bytes. Throws for an unknown one, a jump past the end, a load from outside of struct
    /// seccomp_data, or an end without a verdict; what is read always comes to one.
    package init(_ bytes: [UInt8]) throws(LaunchPlanError) {
        guard !bytes.isEmpty, bytes.count.isMultiple(of: 8), bytes.count <= LaunchPlanLimits.filterBytesMax else {
            throw LaunchPlanError(
                "the filter has \(bytes.count) bytes; 8 to \(LaunchPlanLimits.filterBytesMax), in eights")
        }
        instructions = bytes.withUnsafeBytes { raw in
            stride(from: 0, to: raw.count, by: 8).map { start in
                Instruction(
                    code: UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: start, as: UInt16.self)),
                    yes: raw[start + 2], no: raw[start + 3],
                    value: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self)))
            }
        }
        for (position, instruction) in instructions.enumerated() {
            guard FilterProgram.isSound(instruction, following: instructions.count - position - 1) else {
                throw LaunchPlanError("the filter's instruction \(position) is none that is known here")
            }
        }
    }

    /// As the kernel takes it.
    package var bytes: [UInt8] {
        instructions.flatMap { instruction in
            withUnsafeBytes(of: instruction.code.littleEndian) { Array($0) } + [instruction.yes, instruction.no]
                + withUnsafeBytes(of: instruction.value.littleEndian) { Array($0) }
        }
    }

    /// `following`: how many instructions come after it.
    private static func isSound(_ instruction: Instruction, following: Int) -> Bool {
        switch instruction.code {
        case Code.load: instruction.value <= 60 && instruction.value.isMultiple(of: 4) && following > 0
        case Code.and: following > 0
        case Code.jump: Int(instruction.value) < following
        case Code.jumpIfEqual, Code.jumpIfGreater, Code.jumpIfNotLess, Code.jumpIfAnyBit:
            Int(max(instruction.yes, instruction.no)) < following
        case Code.answer: true
        default: false
        }
    }

    /// BPF_LD | BPF_W | BPF_ABS and so on (linux/bpf_common.h).
    private enum Code {
        static let load: UInt16 = 0x20
        static let and: UInt16 = 0x54
        static let jump: UInt16 = 0x05
        static let jumpIfEqual: UInt16 = 0x15
        static let jumpIfGreater: UInt16 = 0x25
        static let jumpIfNotLess: UInt16 = 0x35
        static let jumpIfAnyBit: UInt16 = 0x45
        static let answer: UInt16 = 0x06
    }

    /// SECCOMP_RET_… of linux/seccomp.h; the lower half carries an errno.
    private enum Answer {
        static let actionMask: UInt32 = 0xffff_0000
        static let errno: UInt32 = 0x0005_0000
        static let log: UInt32 = 0x7ffc_0000
        static let notify: UInt32 = 0x7fc0_0000
    }
}

extension FilterProgram {
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

    /// The same filter, but a call that it denies with an errno, or logs, is put to a supervisor: who answers as
    /// `verdict(on:)` says, and can tell of it.
    package var supervised: FilterProgram {
        var changed = self
        for index in changed.instructions.indices where changed.instructions[index].code == Code.answer {
            let action = changed.instructions[index].value & Answer.actionMask
            if action == Answer.errno || action == Answer.log { changed.instructions[index].value = Answer.notify }
        }
        return changed
    }

    /// Lets everything pass but execve and execveat, which are put to a supervisor.
    package static let executionSupervised: FilterProgram = {
        #if arch(x86_64)
            let (execve, execveat): (UInt32, UInt32) = (59, 322)
        #else
            let (execve, execveat): (UInt32, UInt32) = (221, 281)
        #endif
        var program = FilterProgram()
        program.instructions = [
            Instruction(code: Code.load, yes: 0, no: 0, value: 0),
            Instruction(code: Code.jumpIfEqual, yes: 2, no: 0, value: execve),
            Instruction(code: Code.jumpIfEqual, yes: 1, no: 0, value: execveat),
            Instruction(code: Code.answer, yes: 0, no: 0, value: 0x7fff_0000),
            Instruction(code: Code.answer, yes: 0, no: 0, value: Answer.notify),
        ]
        return program
    }()

    private init() { instructions = [] }

    private func run(_ call: SystemCall) -> UInt32 {
        var accumulator: UInt32 = 0
        var position = 0
        // Jumps lead forward only, and the last instruction is an answer: `init` has seen to it.
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

/// A system call as a filter sees it (struct seccomp_data of linux/seccomp.h).
package struct SystemCall: Hashable, Sendable {
    package var number: UInt32
    package var architecture: UInt32
    package var instructionPointer: UInt64 = 0
    /// Up to six; those that are missing are 0.
    package var arguments: [UInt64]

    #if arch(x86_64)
        /// AUDIT_ARCH_X86_64 of linux/audit.h.
        package static let nativeArchitecture: UInt32 = 0xc000_003e
    #else
        /// AUDIT_ARCH_AARCH64 of linux/audit.h.
        package static let nativeArchitecture: UInt32 = 0xc000_00b7
    #endif

    #if arch(x86_64)
        package static let openat: UInt32 = 257
    #else
        package static let openat: UInt32 = 56
    #endif

    package init(_ number: UInt32, _ arguments: [UInt64] = [], architecture: UInt32 = nativeArchitecture) {
        self.number = number
        self.arguments = arguments
        self.architecture = architecture
    }

    /// The 32-bit words of struct seccomp_data, little-endian.
    fileprivate func word(at index: UInt32) -> UInt32 {
        switch index {
        case 0: return number
        case 1: return architecture
        case 2: return UInt32(truncatingIfNeeded: instructionPointer)
        case 3: return UInt32(truncatingIfNeeded: instructionPointer >> 32)
        default:
            let position = Int(index - 4) / 2
            guard position < arguments.count else { return 0 }
            return UInt32(truncatingIfNeeded: arguments[position] >> (index.isMultiple(of: 2) ? 0 : 32))
        }
    }
}
