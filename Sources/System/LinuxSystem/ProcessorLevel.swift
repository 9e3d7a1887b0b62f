internal import CLinux

/// A level of x86-64: the instructions that every processor of it has (System V ABI for x86-64, section 3.1.1). A program
/// that was built for a level runs on processors of that level and of higher ones.
package enum ProcessorLevel: Int, Comparable, CaseIterable, Sendable {
    case v1 = 1
    case v2, v3, v4

    /// As compilers name it.
    package var name: String { "x86-64-v\(rawValue)" }

    /// That of this machine; nil on another architecture.
    package static let own = ProcessorLevel(rawValue: Int(hearth_processor_level()))

    package static func < (left: ProcessorLevel, right: ProcessorLevel) -> Bool { left.rawValue < right.rawValue }
}
