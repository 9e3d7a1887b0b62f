internal import BackendIPC
internal import Glibc
internal import InferenceMessages
internal import LinuxSystem
internal import SandboxLaunch
internal import SwiftProtobuf

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
