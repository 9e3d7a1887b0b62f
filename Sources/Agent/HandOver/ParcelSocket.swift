internal import Glibc
package import LinuxSystem

/// A Unix socket on which parcels are sent (unix(7), SOCK_SEQPACKET): one datagram is one parcel.
///
/// The datagram begins with a header of `headerBytes`, all numbers in the machine's own order, as both ends are on one
/// machine: the mark, the version of the header, the parcel's kind, whether the message follows in the datagram (0) or lies
/// in a memory file (1), the key, the message's length, and the number of descriptors without that of the memory file,
/// which comes first. A message of more than `bytesInDatagramMax` lies in a memory file that is sealed: it is read, and
/// never mapped, and cannot change meanwhile.
package final class ParcelSocket: Sendable {
    package static let bytesInDatagramMax = 16 << 10
    static let headerBytes = 36
    /// "HPRC".
    private static let mark: UInt32 = 0x4352_5048
    private static let version: UInt32 = 1

    package enum Received: Sendable {
        /// Nothing waits.
        case nothing
        /// The other end is closed.
        case ended
        case parcel(Parcel)
    }

    let descriptor: Descriptor

    /// Takes over a connected socket, which it makes non-blocking.
    package init(owning descriptor: consuming Descriptor) throws(ParcelError) {
        self.descriptor = descriptor
        try system { () throws(LinuxError) in try self.descriptor.setNonblocking(true) }
    }

    /// Two that are connected.
    package static func pair() throws(ParcelError) -> (ParcelSocket, ParcelSocket) {
        let ends = try system { () throws(LinuxError) in
            let pair = try Socket.datagramPair()
            return pair.take { (first, second) in [first.release(), second.release()] }
        }
        let second = Descriptor(owning: ends[1])
        let first = try ParcelSocket(owning: Descriptor(owning: ends[0]))
        return (first, try ParcelSocket(owning: second))
    }

    /// Connects to a path, where a process of the same user must listen (`demandSameUser`). Throws ENOENT or ECONNREFUSED where none does.
    package static func connect(toPath path: String) throws(ParcelError) -> ParcelSocket {
        let raw = try system { () throws(LinuxError) in try Socket.connectForDatagrams(toPath: path).release() }
        let socket = try ParcelSocket(owning: Descriptor(owning: raw))
        try socket.demandSameUser()
        return socket
    }

    /// For epoll and for a process that it is passed on to; borrowed.
    package var raw: CInt { descriptor.raw }

    /// The user who connected the other end; nil where the kernel does not say.
    package var peerUser: UInt32? {
        guard case .user(let user) = Socket.origin(of: raw) else { return nil }
        return user
    }

    /// Throws unless the other end belongs to the user of this process, or one of both is root, which may do anything anyway:
    /// root ends what an agent of another user has left.
    package func demandSameUser() throws(ParcelError) {
        let own = geteuid()
        guard peerUser == own || peerUser == 0 || own == 0 else { throw .stranger(user: peerUser) }
    }

    /// Whether a parcel can be received, or the other end is closed; waits for at most `milliseconds` (nil: for ever).
    private func wait(for events: Readiness, until deadline: Monotonic?) throws(ParcelError) {
        while true {
            let nanoseconds = deadline.map { $0.since(.now()) }
            let ready = try system { () throws(LinuxError) in
                try Poll.wait(descriptor.raw, for: events, nanoseconds: nanoseconds)
            }
            if !ready.isEmpty { return }
            if let deadline, deadline <= .now() { throw .timedOut }
        }
    }
}

// Sending.
extension ParcelSocket {
    /// Sends a parcel without waiting; returns whether it was sent. The sender keeps its descriptors. Throws `ended` where
    /// the other end is closed.
    package func trySend(_ parcel: Parcel) throws(ParcelError) -> Bool {
        guard parcel.bytes.count <= Parcel.bytesMax else { throw .tooLarge("a message of \(parcel.bytes.count) bytes") }
        return try parcel.withDescriptors { (descriptors) throws(ParcelError) in
            guard descriptors.count <= Parcel.descriptorsMax else {
                throw .tooLarge("\(descriptors.count) descriptors")
            }
            guard descriptors.allSatisfy({ $0 >= 0 }) else { throw .malformed("a descriptor of it was taken") }
            guard parcel.bytes.count > Self.bytesInDatagramMax else {
                return try send(Self.header(of: parcel, inMemory: false), parcel.bytes, descriptors)
            }
            let file = try Self.memoryFile(parcel.bytes)
            return try send(Self.header(of: parcel, inMemory: true), [], [file.raw] + descriptors)
        }
    }

    /// Sends a parcel, and waits until the other process has room for it: for at most `milliseconds`. Blocks this thread.
    package func send(_ parcel: Parcel, withinMilliseconds milliseconds: UInt64) throws(ParcelError) {
        let deadline = Monotonic.now().advanced(milliseconds: milliseconds)
        while try !trySend(parcel) { try wait(for: .writable, until: deadline) }
    }

    private func send(_ head: [UInt8], _ bytes: [UInt8], _ descriptors: [CInt]) throws(ParcelError) -> Bool {
        do throws(LinuxError) {
            return try Socket.sendDatagram(descriptor.raw, head, bytes, descriptors: descriptors)
        } catch {
            throw error.code == EPIPE || error.code == ECONNRESET ? .ended : .system(error)
        }
    }

    private static func memoryFile(_ bytes: [UInt8]) throws(ParcelError) -> Descriptor {
        let raw = try system { () throws(LinuxError) in
            let file = try Descriptor.memoryFile("parcel")
            try file.writeAll(bytes)
            try file.seal()
            return file.release()
        }
        return Descriptor(owning: raw)
    }

    private static func header(of parcel: Parcel, inMemory: Bool) -> [UInt8] {
        var header: [UInt8] = []
        header.reserveCapacity(headerBytes)
        func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value) { header += $0 } }
        append(mark)
        append(version)
        append(parcel.kind.rawValue)
        append(UInt32(inMemory ? 1 : 0))
        append(parcel.key)
        append(UInt64(parcel.bytes.count))
        append(UInt32(parcel.descriptorCount))
        return header
    }
}

// Receiving.
extension ParcelSocket {
    /// Takes one parcel without waiting.
    package func receive() throws(ParcelError) -> Received {
        let datagram: DescribedDatagram?
        do throws(LinuxError) {
            datagram = try Socket.receiveDescribed(
                descriptor.raw, max: Self.headerBytes + Self.bytesInDatagramMax)
        } catch {
            if error.code == ECONNRESET { return .ended }
            throw .system(error)
        }
        guard let datagram else { return .nothing }
        // Owned from here on, so that none is left open, whatever is wrong with it.
        let came = Parcel(.hello, owning: datagram.descriptors)
        if datagram.isCut { throw .cutShort }
        // No parcel has no byte.
        if datagram.bytes.isEmpty { return .ended }
        return .parcel(try Self.read(datagram.bytes, came))
    }

    /// Takes one parcel, and waits for it, for at most `milliseconds`; nil: the other end is closed. Blocks this thread.
    package func receive(withinMilliseconds milliseconds: UInt64) throws(ParcelError) -> Parcel? {
        let deadline = Monotonic.now().advanced(milliseconds: milliseconds)
        while true {
            switch try receive() {
            case .nothing: try wait(for: .readable, until: deadline)
            case .ended: return nil
            case .parcel(let parcel): return parcel
            }
        }
    }

    /// - Parameter came: the owner of the descriptors that came.
    private static func read(_ datagram: [UInt8], _ came: Parcel) throws(ParcelError) -> Parcel {
        guard datagram.count >= headerBytes else { throw .malformed("\(datagram.count) bytes") }
        func number<Value: FixedWidthInteger>(at place: Int, _: Value.Type) -> Value {
            datagram.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Value.self) }
        }
        guard number(at: 0, UInt32.self) == mark else { throw .malformed("it does not begin as one") }
        let version = number(at: 4, UInt32.self)
        guard version == Self.version else { throw .malformed("version \(version)") }
        guard let kind = Parcel.Kind(rawValue: number(at: 8, UInt32.self)) else {
            throw .malformed("kind \(number(at: 8, UInt32.self))")
        }
        let place = number(at: 12, UInt32.self)
        guard place <= 1 else { throw .malformed("its message is at place \(place)") }
        let length = number(at: 24, UInt64.self)
        guard length <= UInt64(Parcel.bytesMax) else { throw .tooLarge("a message of \(length) bytes") }
        let expected = Int(number(at: 32, UInt32.self)) + Int(place)
        guard expected == came.descriptorCount else {
            throw .descriptors(expected: expected, came: came.descriptorCount)
        }
        let inDatagram = datagram.count - headerBytes
        guard inDatagram == (place == 0 ? Int(length) : 0) else {
            throw .malformed("\(inDatagram) bytes of a message of \(length)")
        }
        let message =
            place == 0
            ? Array(datagram[headerBytes...]) : try message(in: came.take(0), count: Int(length))
        var descriptors: [CInt] = []
        for index in Int(place)..<came.descriptorCount {
            if let taken = came.take(index) { descriptors.append(taken.release()) }
        }
        return Parcel(kind, key: number(at: 16, UInt64.self), message, owning: descriptors)
    }

    private static func message(in file: consuming Descriptor?, count: Int) throws(ParcelError) -> [UInt8] {
        guard let file else { throw .unsoundMessage("it has no file") }
        guard (try? Descriptor.isSealed(file.raw)) == true else {
            throw .unsoundMessage("it lies in a file that is no sealed memory file")
        }
        let raw = file.raw
        var failure: ParcelError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while initialized < count {
                let more = pread(raw, buffer.baseAddress! + initialized, count - initialized, off_t(initialized))
                if more < 0, errno == EINTR { continue }
                if more < 0 { failure = .system(LinuxError.last("read a parcel's message")) }
                if more == 0 { failure = .unsoundMessage("it has \(initialized) bytes instead of \(count)") }
                if more <= 0 { return }
                initialized += more
            }
        }
        if let failure { throw failure }
        return bytes
    }
}

/// Listens for processes of the same user that bring or fetch parcels.
package final class ParcelListener: Sendable {
    private let descriptor: Descriptor

    /// Listens at a path, mode 0600; what was there is replaced.
    package init(atPath path: String) throws(ParcelError) {

        descriptor = Descriptor(
            owning: try system { () throws(LinuxError) in try Socket.listenForDatagrams(atPath: path).release() })
    }

    /// Takes over a listening socket.
    package init(owning descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// For epoll, and for a process that it is passed on to; borrowed.
    package var raw: CInt { descriptor.raw }

    /// Accepts a connection; nil where none waits. Throws `stranger` for another user's, which is closed.
    package func accept() throws(ParcelError) -> ParcelSocket? {
        let raw = try system { () throws(LinuxError) in try Socket.accept(descriptor)?.release() }
        guard let raw else { return nil }
        let socket = try ParcelSocket(owning: Descriptor(owning: raw))
        try socket.demandSameUser()
        return socket
    }
}

/// A system call's failure as a parcel's.
func system<Value>(_ body: () throws(LinuxError) -> Value) throws(ParcelError) -> Value {
    do throws(LinuxError) {
        return try body()
    } catch {
        throw .system(error)
    }
}
