/// Code that takes bytes from strangers, with what must hold whatever they are. libFuzzer and the mutation test both run it.
enum FuzzTarget: String, CaseIterable, Sendable {
    /// What a client sends: HTTP/2 frames to a gRPC server, on a socket.
    case connection
    /// Header lists, and the texts in them.
    case metadata
    /// What a backend sends: frames, envelopes, and their place in the conversation.
    case backend
    /// The body of a call: length-prefixed messages, compressed or not.
    case messages

    /// Inputs that go deep, to be changed.
    var seeds: [[UInt8]] {
        switch self {
        case .connection: ConnectionTarget.seeds
        case .metadata: MetadataTarget.seeds
        case .backend: BackendTarget.seeds
        case .messages: MessagesTarget.seeds
        }
    }

    /// Throws `BrokenPromise` for an input that shows a defect; or traps.
    func run(_ input: [UInt8]) throws {
        switch self {
        case .connection: try ConnectionTarget.run(input)
        case .metadata: try MetadataTarget.run(input)
        case .backend: try BackendTarget.run(input)
        case .messages: try MessagesTarget.run(input)
        }
    }
}

/// Something that must hold for every input, and did not.
struct BrokenPromise: Error, CustomStringConvertible {
    let description: String
}

func promise(_ holds: Bool, _ sentence: @autoclosure () -> String) throws {
    guard holds else { throw BrokenPromise(description: sentence()) }
}

/// Takes an input apart from its front; what it lacks is zero.
struct InputReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ input: [UInt8]) { rest = input[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// So many bytes, or as many as there are.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}
