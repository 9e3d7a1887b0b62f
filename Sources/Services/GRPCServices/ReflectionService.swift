internal import BaseEncodings
package import EventLoop
package import GRPC
internal import GRPCMessages
internal import SwiftProtobuf

/// `grpc.reflection.v1.ServerReflection`, and the same under its older name `v1alpha`: the services of a server and
/// their protos, for clients without the protos (grpc/doc/server-reflection.md). It lists the services that the server
/// has at the time of the request.
@IOLoop
package final class ReflectionService: Service {
    package enum Version: String, Sendable, CaseIterable {
        case v1, v1alpha
    }

    nonisolated package let name: String
    private let descriptors: Google_Protobuf_FileDescriptorSet
    private let serviceNames: @IOLoop () -> [String]
    private var index: (of: [String], DescriptorIndex)?

    /// `descriptors` is a serialized `google.protobuf.FileDescriptorSet` in base64, with or without line breaks. Files of services that the server
    /// does not serve are not listed. Throws INTERNAL for malformed descriptors.
    package init(
        _ version: Version, descriptors: String, serviceNames: @escaping @IOLoop () -> [String]
    ) throws(Status) {
        name = "grpc.reflection.\(version.rawValue).ServerReflection"
        self.serviceNames = serviceNames
        guard let bytes = Base64.decode(descriptors.filter { !$0.isNewline }),
            let set = try? Google_Protobuf_FileDescriptorSet(serializedBytes: bytes)
        else { throw Status(.internalError, "the descriptors are no FileDescriptorSet in base64") }
        self.descriptors = set
    }

    nonisolated package func method(_ name: String) -> Method? {
        // Both versions are the same on the wire.
        switch name {
        case "ServerReflectionInfo":
            Method.bidirectional {
                (
                    requests: MessageStream<Grpc_Reflection_V1_ServerReflectionRequest>,
                    writer: ResponseWriter<Grpc_Reflection_V1_ServerReflectionResponse>, _: CallContext
                ) in
                for try await request in requests { try await writer.send(await self.answer(request)) }
            }
            .taking(messageBytesMax: GRPCServicesLimits.inForce.reflectionRequestBytesMax)
        default: nil
        }
    }

    private func answer(
        _ request: Grpc_Reflection_V1_ServerReflectionRequest
    ) -> Grpc_Reflection_V1_ServerReflectionResponse {
        var answer = Grpc_Reflection_V1_ServerReflectionResponse()
        answer.validHost = request.host
        answer.originalRequest = request
        do throws(Status) {
            answer.messageResponse = try found(request.messageRequest)
        } catch {
            answer.errorResponse = .with {
                $0.errorCode = Int32(error.code.rawValue)
                $0.errorMessage = error.message
            }
        }
        return answer
    }

    private func found(
        _ request: Grpc_Reflection_V1_ServerReflectionRequest.OneOf_MessageRequest?
    ) throws(Status) -> Grpc_Reflection_V1_ServerReflectionResponse.OneOf_MessageResponse {
        let index = currentIndex()
        switch request {
        case .listServices:
            return .listServicesResponse(
                .with { $0.service = serviceNames().sorted().map { name in .with { $0.name = name } } })
        case .fileByFilename(let name):
            return try files(name, index, "there is no file '\(name)'")
        case .fileContainingSymbol(let symbol):
            return try files(index.file(of: symbol), index, "no file declares '\(symbol)'")
        case .fileContainingExtension(let asked):
            throw Status(
                .notFound,
                "there is no extension \(asked.extensionNumber) of '\(asked.containingType)' here: proto3 has none")
        case .allExtensionNumbersOfType(let type):
            guard index.hasMessage(type) else { throw Status(.notFound, "there is no message '\(type)'") }
            return .allExtensionNumbersResponse(.with { $0.baseTypeName = type })
        case nil:
            throw Status(.invalidArgument, "the request asks for nothing; set one field of message_request")
        }
    }

    private func files(
        _ name: String?, _ index: DescriptorIndex, _ absence: String
    ) throws(Status) -> Grpc_Reflection_V1_ServerReflectionResponse.OneOf_MessageResponse {
        guard let files = name.flatMap({ index.closure(ofFile: $0) }) else { throw Status(.notFound, absence) }
        do {
            let bytes = try files.map { try $0.serializedData() }
            return .fileDescriptorResponse(.with { $0.fileDescriptorProto = bytes })
        } catch {
            throw Status(.internalError, "a descriptor cannot be encoded: \(error)")
        }
    }

    private func currentIndex() -> DescriptorIndex {
        let names = serviceNames().sorted()
        if let index, index.of == names { return index.1 }
        let made = DescriptorIndex(descriptors, services: names)
        index = (names, made)
        return made
    }
}
