internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf
internal import TLSSession

internal import struct Foundation.Data

/// The caller of a call that another agent has passed on, where it has no key.
@IOLoop
final class PassedCaller: Caller {
    let id: CallerID
    /// What its owner is shown of it.
    let shown: ListedTurn.Caller

    nonisolated private static let key = "hearth-caller-bin"

    fileprivate init(_ id: CallerID, _ caller: Hearth_Handover_V1_Caller) {
        self.id = id
        shown =
            caller.certificate.isEmpty
            ? .init(kind: .none, name: caller.overHTTP ? "" : id.description, isOverHTTP: caller.overHTTP)
            : .init(kind: .certificate, name: caller.certificate, isOverHTTP: caller.overHTTP)
    }

    func callEnded(_ call: ServerCall) {}

    /// The metadata with which a call is passed on: its own, and for whom it is, in place of what proved that.
    static func metadata(of call: ServerCall, over bridged: Server) -> Metadata {
        var metadata = Metadata()
        for entry in call.metadata.entries where entry.key != "authorization" && entry.key != key {
            switch entry.value {
            case .ascii(let text): try? metadata.add(entry.key, text)
            case .binary(let bytes): try? metadata.add(entry.key, binary: bytes)
            }
        }
        add(caller(of: call, over: bridged), to: &metadata)
        return metadata
    }

    /// The same of a call that is gone.
    static func metadata(of caller: Hearth_Handover_V1_Caller) -> Metadata {
        var metadata = Metadata()
        add(caller, to: &metadata)
        return metadata
    }

    private static func add(_ caller: Hearth_Handover_V1_Caller, to metadata: inout Metadata) {
        try? metadata.add(key, binary: (try? caller.serializedBytes()) ?? [])
    }

    /// For whom the call is. `bridged`: the server of the HTTP bridge, where that is to be told.
    static func caller(of call: ServerCall, over bridged: Server?) -> Hearth_Handover_V1_Caller {
        .with {
            $0.id = Data(call.callerID.bytes)
            if let consumer = call.caller as? Consumer { $0.keySha256 = Data(consumer.sha256) }
            if let passed = call.caller as? PassedCaller {
                $0.overHTTP = passed.shown.isOverHTTP
                if passed.shown.kind == .certificate { $0.certificate = passed.shown.name }
            } else {
                $0.overHTTP = bridged.map(call.isServed) ?? false
                if call.caller == nil, let name = call.peerCertificate?.names.first { $0.certificate = name }
            }
        }
    }

    /// Admits calls that another agent has passed on, for those for whom it had admitted them.
    @IOLoop
    final class Gate: CallGate {
        private let register: ConsumerRegister
        var namesCallers: Bool { false }

        init(_ register: ConsumerRegister) { self.register = register }

        func admit(_ call: ServerCall) throws(Status) -> (any Caller)? {
            guard let bytes = call.metadata.binary(PassedCaller.key),
                let caller = try? Hearth_Handover_V1_Caller(serializedBytes: bytes),
                let id = CallerID(bytes: [UInt8](caller.id))
            else { throw Status(.internalError, "a call that is passed on does not say for whom it is") }
            guard caller.keySha256.isEmpty else {
                let consumer = try register.consumer(admittedWith: [UInt8](caller.keySha256))
                consumer.goesOn(call)
                return consumer
            }
            return PassedCaller(id, caller)
        }
    }
}
