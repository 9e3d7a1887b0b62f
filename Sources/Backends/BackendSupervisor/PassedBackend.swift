internal import Glibc
internal import InferenceMessages
internal import LinuxSystem
internal import SandboxLaunch
internal import SwiftProtobuf
internal import Synchronization

/// What another agent needs to go on with a backend's process: a serialized `hearth.handover.v1.Backend`, and descriptors.
///
/// Owns the descriptors, which are duplicates, until they are taken: they are closed with it. The process does not end
/// with it.
package final class PassedBackend: Sendable {
    /// The places of the descriptors. Those of the weights' files follow, in the order in which the backend has them, and, of a
    /// process that may be passed on at any moment, that of a memory file with the framing of its socket.
    package enum Place: Int, CaseIterable, Sendable {
        /// Of the launcher (pidfd_open(2)).
        case process = 0
        /// The agent's end of the backend's socket.
        case socket
        /// The agent's end of the socket to the keeper.
        case keeper
        /// The pipe of the backend's output.
        case log
    }

    /// A serialized `hearth.handover.v1.Backend`.
    package let bytes: [UInt8]
    /// Its agent has crashed, and a holder that knows it by this key has asked its keeper to freeze it since, once; nil: it has
    /// not.
    package let heldAs: UInt64?
    private let owned: Mutex<[CInt]>

    /// - Parameter descriptors: in the order of `Place`; owned from here on.
    package init(bytes: [UInt8], owning descriptors: [CInt], heldAs: UInt64? = nil) {
        self.bytes = bytes
        self.heldAs = heldAs
        owned = Mutex(descriptors)
    }

    deinit { for descriptor in take() { close(descriptor) } }

    /// The descriptors, borrowed; none once they were taken.
    package var descriptors: [CInt] { owned.withLock { $0 } }

    /// Gives the descriptors away, unclosed.
    package func take() -> [CInt] {
        owned.withLock { owned in
            defer { owned = [] }
            return owned
        }
    }
}

extension PassedBackend {
    /// With duplicates of the descriptors.
    convenience init(
        _ message: Hearth_Handover_V1_Backend, _ handles: SandboxedProcess, _ weights: ModelWeights?,
        _ framing: SharedFraming? = nil
    ) throws {
        var owned: [CInt] = []
        do throws(LinuxError) {
            // In the order of `Place`.
            owned.append(try handles.process.duplicateDescriptor().release())
            owned.append(try handles.socket.duplicate().release())
            owned.append(try handles.keeper.duplicate().release())
            owned.append(try handles.log.duplicate().release())
            for file in weights?.files ?? [] { owned.append(try file.descriptor.duplicate().release()) }
            if let framing { owned.append(try framing.memory.duplicate().release()) }
        } catch {
            for descriptor in owned { close(descriptor) }
            throw error
        }
        self.init(bytes: try message.serializedBytes(), owning: owned)
    }
}
