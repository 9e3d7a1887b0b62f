internal import Glibc
package import LinuxSystem
internal import Synchronization

/// One thing that passes from one process to another: what it is, a message about it, and descriptors.
///
/// It owns its descriptors, and closes those that nobody has taken.
package final class Parcel: Sendable {
    package enum Kind: UInt32, Sendable, CaseIterable {
        /// The first of a conversation: who speaks, and in which version.
        case hello = 1
        case listener = 2
        case backend = 3
        case turn = 4
        /// There are no more parcels.
        case end = 5
        /// Whoever says it has everything now, and goes on with it.
        case taken = 6
        /// The other side has let go of everything.
        case given = 7
        /// The parcel with the same key is over.
        case forget = 8
        /// The other side ends in order: nothing is to be kept.
        case farewell = 9
        /// A call that goes on in the other process.
        case relay = 10
    }

    /// The most bytes of a message.
    package static let bytesMax = 256 << 20
    /// The most descriptors: one more is that of a long message.
    package static let descriptorsMax = Socket.descriptorsMax - 1

    package let kind: Kind
    /// Tells it from the other parcels of its kind; 0 where there is only one.
    package let key: UInt64
    package let bytes: [UInt8]
    /// How many descriptors it came with, taken or not.
    package let descriptorCount: Int

    /// -1 for one that was taken.
    private let descriptors: Mutex<[CInt]>

    /// Takes over open descriptors.
    package init(_ kind: Kind, key: UInt64 = 0, _ bytes: [UInt8] = [], owning descriptors: [CInt] = []) {
        self.kind = kind
        self.key = key
        self.bytes = bytes
        self.descriptors = Mutex(descriptors)
        descriptorCount = descriptors.count
    }

    deinit {
        for raw in descriptors.withLock({ $0 }) where raw >= 0 { _ = close(raw) }
    }

    /// The descriptor at a place, which belongs to the caller from now on; nil where there is none, or it was taken.
    package func take(_ place: Int) -> Descriptor? {
        let raw = descriptors.withLock { descriptors in
            guard descriptors.indices.contains(place) else { return CInt(-1) }
            defer { descriptors[place] = -1 }
            return descriptors[place]
        }
        return raw < 0 ? nil : Descriptor(owning: raw)
    }

    /// The descriptors that nobody has taken, which belong to the caller from now on.
    package func takeAll() -> [CInt] {
        descriptors.withLock { descriptors in
            defer { descriptors = descriptors.map { _ in -1 } }
            return descriptors.filter { $0 >= 0 }
        }
    }

    /// Calls back with the descriptors, borrowed for the call; -1 for one that was taken.
    package func withDescriptors<Result, Failure: Error>(
        _ body: ([CInt]) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // A parcel that is kept alive does not close them meanwhile; nobody takes what another one is about to send.
        let borrowed = descriptors.withLock { $0 }
        defer { withExtendedLifetime(self) {} }
        return try body(borrowed)
    }

    /// A parcel with the same message, and duplicates of the descriptors that were not taken.
    package func duplicate() throws(LinuxError) -> Parcel {
        var copies: [CInt] = []
        do throws(LinuxError) {
            try withDescriptors { (descriptors) throws(LinuxError) in
                for raw in descriptors where raw >= 0 {
                    copies.append(try checked("duplicate a descriptor") { fcntl(raw, F_DUPFD_CLOEXEC, 3) })
                }
            }
        } catch {
            for raw in copies { _ = close(raw) }
            throw error
        }
        return Parcel(kind, key: key, bytes, owning: copies)
    }
}
