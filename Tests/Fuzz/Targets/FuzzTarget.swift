/// Code that reads untrusted bytes, with the properties that must hold for any bytes. libFuzzer and the mutation test
/// both run it.
enum FuzzTarget: String, CaseIterable, Sendable {
    /// What a client sends: HTTP/2 frames to a gRPC server, on a socket.
    case connection
    /// Header lists, and the texts in them.
    case metadata
    /// What a backend sends: frames, envelopes, and their place in the conversation.
    case backend
    /// The body of a call: length-prefixed messages, compressed or not.
    case messages
    /// The form that a consumer wants: schemas, grammars and choices.
    case forms

    /// Inputs that reach deep into the code, as seeds for mutations.
    var seeds: [[UInt8]] {
        switch self {
        case .connection: ConnectionTarget.seeds
        case .metadata: MetadataTarget.seeds
        case .backend: BackendTarget.seeds
        case .messages: MessagesTarget.seeds
        case .forms: FormsTarget.seeds
        }
    }

    /// Throws `BrokenPromise`, or traps, for an input that shows a defect.
    func run(_ input: [UInt8]) throws {
        switch self {
        case .connection: try ConnectionTarget.run(input)
        case .metadata: try MetadataTarget.run(input)
        case .backend: try BackendTarget.run(input)
        case .messages: try MessagesTarget.run(input)
        case .forms: try FormsTarget.run(input)
        }
    }
}

/// A property that must hold for every input, and did not.
struct BrokenPromise: Error, CustomStringConvertible {
    let description: String
}

func promise(_ holds: Bool, _ sentence: @autoclosure () -> String) throws {
    guard holds else { throw BrokenPromise(description: sentence()) }
}

/// Reads an input from its front; bytes past its end are zero.
struct InputReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ input: [UInt8]) { rest = input[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// The next `count` bytes, or as many as are left.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}
