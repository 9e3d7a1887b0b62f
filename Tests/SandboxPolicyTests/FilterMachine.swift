/// Runs a seccomp filter as the kernel would, on the instructions that libseccomp emits (linux/filter.h): the verdict
/// on a call without making it.
struct FilterMachine {
    enum Verdict: Equatable {
        case allow
        case errno(UInt32)
        case kill
        case other(UInt32)
    }

    let filter: [UInt8]

    #if arch(x86_64)
        static let architecture: UInt32 = 0xc000_003e
    #else
        static let architecture: UInt32 = 0xc000_00b7
    #endif

    func verdict(
        _ number: UInt32, _ arguments: [UInt64] = [], architecture: UInt32 = FilterMachine.architecture
    ) -> Verdict {
        var data = [UInt32](repeating: 0, count: 16)
        data[0] = number
        data[1] = architecture
        for (index, argument) in arguments.enumerated() {
            data[4 + 2 * index] = UInt32(truncatingIfNeeded: argument)
            data[5 + 2 * index] = UInt32(argument >> 32)
        }
        let result = run(data)
        switch result {
        case 0x7fff_0000: return .allow
        case 0x8000_0000, 0: return .kill
        case 0x0005_0000...0x0005_ffff: return .errno(result & 0xffff)
        default: return .other(result)
        }
    }

    private func run(_ data: [UInt32]) -> UInt32 {
        var accumulator: UInt32 = 0
        var position = 0
        while true {
            let start = position * 8
            let code = UInt16(filter[start]) | UInt16(filter[start + 1]) << 8
            let yes = Int(filter[start + 2])
            let no = Int(filter[start + 3])
            let value = (0..<4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(filter[start + 4 + $1]) }
            position += 1
            switch code {
            case 0x20: accumulator = data[Int(value / 4)]
            case 0x54: accumulator &= value
            case 0x05: position += Int(value)
            case 0x15: position += accumulator == value ? yes : no
            case 0x25: position += accumulator > value ? yes : no
            case 0x35: position += accumulator >= value ? yes : no
            case 0x45: position += accumulator & value != 0 ? yes : no
            case 0x06: return value
            default: fatalError("instruction \(code) is not one that libseccomp emits")
            }
        }
    }
}
