/// The cases of the gRPC project's doc/interop-test-descriptions.md that need neither Google's credentials nor a proxy
/// that caches, and three that only its C++ client has: slow_consumer, half_duplex and pick_first_unary.
enum TestCase: String, CaseIterable {
    case emptyUnary = "empty_unary"
    case largeUnary = "large_unary"
    case clientCompressedUnary = "client_compressed_unary"
    case serverCompressedUnary = "server_compressed_unary"
    case clientStreaming = "client_streaming"
    case clientCompressedStreaming = "client_compressed_streaming"
    case serverStreaming = "server_streaming"
    case serverCompressedStreaming = "server_compressed_streaming"
    case slowConsumer = "slow_consumer"
    case pingPong = "ping_pong"
    case halfDuplex = "half_duplex"
    case emptyStream = "empty_stream"
    case customMetadata = "custom_metadata"
    case statusCodeAndMessage = "status_code_and_message"
    case specialStatusMessage = "special_status_message"
    case unimplementedMethod = "unimplemented_method"
    case unimplementedService = "unimplemented_service"
    case cancelAfterBegin = "cancel_after_begin"
    case cancelAfterFirstResponse = "cancel_after_first_response"
    case timeoutOnSleepingServer = "timeout_on_sleeping_server"
    case pickFirstUnary = "pick_first_unary"

    /// Throws what was not as the case says it must be.
    func run(on stub: TestServiceStub) async throws {
        switch self {
        case .emptyUnary: try await stub.emptyUnary()
        case .largeUnary: try await stub.largeUnary()
        case .clientCompressedUnary: try await stub.clientCompressedUnary()
        case .serverCompressedUnary: try await stub.serverCompressedUnary()
        case .clientStreaming: try await stub.clientStreaming()
        case .clientCompressedStreaming: try await stub.clientCompressedStreaming()
        case .serverStreaming: try await stub.serverStreaming()
        case .serverCompressedStreaming: try await stub.serverCompressedStreaming()
        case .slowConsumer: try await stub.slowConsumer()
        case .pingPong: try await stub.pingPong()
        case .halfDuplex: try await stub.halfDuplex()
        case .emptyStream: try await stub.emptyStream()
        case .customMetadata: try await stub.customMetadata()
        case .statusCodeAndMessage: try await stub.statusCodeAndMessage()
        case .specialStatusMessage: try await stub.specialStatusMessage()
        case .unimplementedMethod: try await stub.unimplemented("grpc.testing.TestService")
        case .unimplementedService: try await stub.unimplemented("grpc.testing.UnimplementedService")
        case .cancelAfterBegin: try await stub.cancelAfterBegin()
        case .cancelAfterFirstResponse: try await stub.cancelAfterFirstResponse()
        case .timeoutOnSleepingServer: try await stub.timeoutOnSleepingServer()
        case .pickFirstUnary: try await stub.pickFirstUnary()
        }
    }
}
