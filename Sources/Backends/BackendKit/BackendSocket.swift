internal import BackendIPC
internal import ByteBuffer
internal import Glibc
internal import LinuxSystem
internal import WireFormat

/// The backend's end of the socket, with its input and output buffers. It uses only read(2), write(2) and ppoll(2), and
/// reads and writes only when ppoll has reported that this will not block, so that a blocking socket works too. One
/// thread.
final class BackendSocket {
    /// The memory that is kept for the next step's tokens, so that few steps allocate.
    static let idleBytesMax = 256 << 10

    private let descriptor: CInt
    var input: FrameBuffer
    var output = ByteQueue(idleBytesMax: BackendSocket.idleBytesMax)
    /// The agent closed its end, or died.
    private(set) var isClosed = false

    init(descriptor: CInt) {
        self.descriptor = descriptor
        input = FrameBuffer(frameBytesMax: ContractLimits.agentFrameBytesMax)
    }

    /// Waits until the socket can be read or, when something waits, written, for at most `nanoseconds` (nil: for ever);
    /// then reads once and writes once. Every whole frame must have been taken before.
    func exchange(waitingNanoseconds nanoseconds: UInt64?) throws(LinuxError) {
        let wanted: Readiness = output.isEmpty ? .readable : [.readable, .writable]
        let ready = try Poll.wait(descriptor, for: wanted, nanoseconds: nanoseconds)
        // ppoll always reports hang-ups and errors: read(2) then returns the end.
        if !ready.subtracting(.writable).isEmpty { try readOnce() }
        if ready.contains(.writable), !isClosed { try writeOnce() }
    }

    private func readOnce() throws(LinuxError) {
        if try input.read(from: descriptor) == .end { isClosed = true }
    }

    private func writeOnce() throws(LinuxError) {
        let bytes = output.bytes
        let count = write(descriptor, bytes.baseAddress, min(bytes.count, Limits.writeBytesMax))
        if count >= 0 {
            output.removeFirst(count)
            return
        }
        switch errno {
        case EAGAIN, EINTR: return
        case EPIPE, ECONNRESET: isClosed = true
        default: throw LinuxError.last("write to the backend socket")
        }
    }

    /// Writes the output for at most a given time; input is not read meanwhile.
    func flush(milliseconds: UInt64) {
        let deadline = Monotonic.awake().advanced(milliseconds: milliseconds)
        while !output.isEmpty, !isClosed {
            let rest = deadline.since(Monotonic.awake())
            guard rest > 0 else { return }
            guard let ready = try? Poll.wait(descriptor, for: .writable, nanoseconds: rest) else { return }
            if ready.contains(.writable) {
                guard (try? writeOnce()) != nil else { return }
            } else if !ready.isEmpty {
                return
            }
        }
    }
}
