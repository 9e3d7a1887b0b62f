import GRPC
import GRPCMessages
import GRPCServices
import InferenceMessages
import SwiftProtobuf
import Testing

typealias Asked = Grpc_Reflection_V1_ServerReflectionRequest
typealias Answer = Grpc_Reflection_V1_ServerReflectionResponse

@Suite(.timeLimit(.minutes(1)))
struct ReflectionServiceTests {
    private let health = HealthService()

    /// The answers to some requests on one stream, from a server with health and reflection.
    private func ask(_ version: ReflectionService.Version, _ requests: [Asked.OneOf_MessageRequest?]) async throws
        -> [Answer]
    {
        let names = ["grpc.health.v1.Health", "grpc.reflection.\(version.rawValue).ServerReflection"]
        let service = try await ReflectionService(version, descriptors: ServiceDescriptors.base64) { names }
        var answers: [Answer] = []
        try await withService(service) { _, client in
            let call = await client.bidirectional(
                "/\(service.name)/ServerReflectionInfo", requests: Asked.self, answers: Answer.self)
            for request in requests {
                try await call.send(
                    .with {
                        $0.host = "here"
                        $0.messageRequest = request
                    })
            }
            await call.endSending()
            for try await answer in call.responses { answers.append(answer) }
        }
        #expect(answers.map(\.originalRequest.messageRequest) == requests)
        #expect(answers.allSatisfy { $0.validHost == "here" })
        return answers
    }

    private func files(_ answer: Answer) throws -> [String] {
        try answer.fileDescriptorResponse.fileDescriptorProto.map {
            try Google_Protobuf_FileDescriptorProto(serializedBytes: $0).name
        }
    }

    @Test("The services that the server has are listed, in order", arguments: ReflectionService.Version.allCases)
    func list(_ version: ReflectionService.Version) async throws {
        let answers = try await ask(version, [.listServices("*")])
        #expect(
            answers.first?.listServicesResponse.service.map(\.name)
                == ["grpc.health.v1.Health", "grpc.reflection.\(version.rawValue).ServerReflection"])
    }

    @Test(
        "A symbol of any kind leads to its file",
        arguments: [
            "grpc.health.v1.Health", "grpc.health.v1.Health.Check", "grpc.health.v1.HealthCheckRequest",
            "grpc.health.v1.HealthCheckRequest.service", "grpc.health.v1.HealthCheckResponse.ServingStatus",
            "grpc.health.v1.HealthCheckResponse.SERVING", "grpc.health.v1.HealthListResponse.StatusesEntry",
            ".grpc.health.v1.Health",
        ])
    func symbols(_ symbol: String) async throws {
        let answers = try await ask(.v1, [.fileContainingSymbol(symbol)])
        #expect(try files(try #require(answers.first)) == ["grpc/health/v1/health.proto"])
    }

    @Test("A file is told by its name; one of a service that is not served is not")
    func fileNames() async throws {
        let answers = try await ask(
            .v1, [.fileByFilename("grpc/health/v1/health.proto"), .fileByFilename("hearth/admin/v1/admin.proto")])
        #expect(try files(answers[0]) == ["grpc/health/v1/health.proto"])
        #expect(answers[1].errorResponse.errorCode == 5)
    }

    @Test("What cannot be answered is an error in its answer, and the stream goes on")
    func errors() async throws {
        let answers = try await ask(
            .v1alpha,
            [
                .fileByFilename("missing.proto"), .fileContainingSymbol("missing.Service"), .fileContainingSymbol(""),
                .fileContainingExtension(.with { $0.containingType = "grpc.health.v1.HealthCheckRequest" }),
                .allExtensionNumbersOfType("missing.Message"), nil,
                .allExtensionNumbersOfType("grpc.health.v1.HealthCheckRequest"), .listServices(""),
            ])
        #expect(answers.prefix(5).allSatisfy { $0.errorResponse.errorCode == 5 })
        #expect(answers[5].errorResponse.errorCode == 3)
        #expect(answers[6].allExtensionNumbersResponse.baseTypeName == "grpc.health.v1.HealthCheckRequest")
        #expect(answers[6].allExtensionNumbersResponse.extensionNumber.isEmpty)
        #expect(answers[7].listServicesResponse.service.count == 2)
    }

    @Test("A file comes with everything that it imports")
    func imports() async throws {
        let service = try await ReflectionService(.v1, descriptors: ServiceDescriptors.base64) {
            ["hearth.v1.Inference"]
        }
        try await withService(service) { _, client in
            let call = await client.bidirectional(
                "/\(service.name)/ServerReflectionInfo", requests: Asked.self, answers: Answer.self)
            try await call.send(.with { $0.fileContainingSymbol = "hearth.v1.Inference" })
            await call.endSending()
            for try await answer in call.responses {
                #expect(
                    try files(answer) == ["hearth/v1/inference.proto", "google/protobuf/duration.proto"])
            }
        }
    }

    @Test("What a status may hold is known, whatever the server serves: a tool can read the details of any error")
    func statusDetails() async throws {
        let names = ["Status", "RetryInfo", "QuotaFailure", "QuotaFailure.Violation", "BadRequest"]
        let answers = try await ask(.v1, names.map { .fileContainingSymbol("google.rpc.\($0)") })
        #expect(try files(answers[0]) == ["google/rpc/status.proto", "google/protobuf/any.proto"])
        for answer in answers[1...] {
            #expect(try files(answer) == ["google/rpc/error_details.proto", "google/protobuf/duration.proto"])
        }
    }

    @Test("Descriptors that are none are refused")
    func damaged() async {
        let error = await #expect(throws: Status.self) {
            try await ReflectionService(.v1, descriptors: "/w==") { [] }
        }
        #expect(error?.code == .internalError)
    }
}
