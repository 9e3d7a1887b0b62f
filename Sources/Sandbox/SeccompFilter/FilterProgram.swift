/// A seccomp filter in the kernel's form, read and checked (seccomp(2), linux/filter.h). A plain value; only the
/// instructions that libseccomp and this package emit are accepted.
package struct FilterProgram: Equatable, Sendable {
    /// struct sock_filter.
    struct Instruction: Equatable {
        var code: UInt16
        var yes: UInt8
        var no: UInt8
        var value: UInt32
    }

    /// BPF_MAXINSNS instructions of 8 bytes (linux/bpf_common.h).
    package static let byteCountMax = 4096 * 8

    private(set) var instructions: [Instruction]

    /// Reads instructions of 8 bytes. Throws for an unknown one, a jump past the end, a load from outside of struct
    /// seccomp_data, or an end without a verdict, so that a program always gives a verdict.
    package init(_ bytes: [UInt8]) throws(FilterError) {
        guard !bytes.isEmpty, bytes.count.isMultiple(of: 8), bytes.count <= FilterProgram.byteCountMax else {
            throw FilterError(
                "the filter has \(bytes.count) bytes; 8 to \(FilterProgram.byteCountMax), in eights")
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
                throw FilterError("the filter's instruction \(position) is none that is known here")
            }
        }
    }

    /// The program in the kernel's form.
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
    enum Code {
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
    enum Answer {
        static let actionMask: UInt32 = 0xffff_0000
        static let errno: UInt32 = 0x0005_0000
        static let log: UInt32 = 0x7ffc_0000
        static let notify: UInt32 = 0x7fc0_0000
    }
}

// Filters with a supervisor.
extension FilterProgram {
    /// The same filter, except that it passes every call that it would deny with an errno, or log, to a supervisor,
    /// which answers as `verdict(on:)` says, and can report the call.
    package var supervised: FilterProgram {
        var changed = self
        for index in changed.instructions.indices where changed.instructions[index].code == Code.answer {
            let action = changed.instructions[index].value & Answer.actionMask
            if action == Answer.errno || action == Answer.log { changed.instructions[index].value = Answer.notify }
        }
        return changed
    }

    /// Lets everything pass except execve and execveat, which it passes to a supervisor.
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
}

/// Why bytes are not a valid filter.
package struct FilterError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
