import BackendIPC
import Foundation
import Glibc
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import TestPlaces
import WireFormat

/// The built `llama` executable as a child process, and the agent's end of its socket. Every message in both directions
/// is held against the contract. One test owns it; the process ends with it.
final class DrivenBackend {
    /// Why a conversation stopped.
    enum Failure: Error, CustomStringConvertible {
        case silent
        case closed
        case fatal(Fault)

        var description: String {
            switch self {
            case .silent: "the backend said nothing for \(DrivenBackend.patienceSeconds) s"
            case .closed: "the backend closed its socket"
            case .fatal(let fault): "the backend gave up: \(fault)"
            }
        }
    }

    /// What came for one sequence so far.
    struct Completion: Equatable {
        var tokens: [UInt32] = []
        var bytes: [UInt8] = []
        var finish: Finish?

        var text: String { String(decoding: bytes, as: UTF8.self) }
        var reason: FinishReason? {
            if case .reason(let reason)? = finish?.outcome { return reason }
            return nil
        }
        var fault: Fault? {
            if case .fault(let fault)? = finish?.outcome { return fault }
            return nil
        }
    }

    /// The longest that a test waits for the next byte.
    static let patienceSeconds = 60
    private static let weightsDescriptor: CInt = 7

    let pid: pid_t
    private(set) var loaded = Loaded(maxContextTokens: 0, maxSequences: 0)
    private(set) var completions: [UInt32: Completion] = [:]
    private var pongs: [Pong] = []
    private var counts: [TokenCount] = []
    private let socket: Descriptor
    private var input = FrameBuffer(frameBytesMax: ContractLimits.backendFrameBytesMax)
    private var conversation = BackendConversation(end: .agent)
    private var nonce: UInt64 = 0
    private var exitStatus: CInt?

    private static let executable = Built.path("llama")

    /// Starts the backend with a file of weights, and has it load them.
    init(
        weights: String = Repository.demoModel, contextTokens: UInt32 = 0, maxSequences: UInt32 = 16,
        dataMebibytes: UInt64? = nil
    ) throws {
        var ends: [CInt] = [-1, -1]
        try checked("make a socket pair") { socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) }
        socket = Descriptor(owning: ends[0])
        let theirs = Descriptor(owning: ends[1])
        var patience = timeval(tv_sec: Self.patienceSeconds, tv_usec: 0)
        try checked("set SO_RCVTIMEO") {
            setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        pid = try Self.spawn(socket: theirs.raw, weights: weights, dataMebibytes: dataMebibytes)
        try load(weights, contextTokens: contextTokens, maxSequences: maxSequences)
    }

    deinit {
        kill(pid, SIGKILL)
        _ = wait()
    }

    /// RLIMIT_DATA, which the sandbox sets, is set by a shell here.
    private static func spawn(socket: CInt, weights: String, dataMebibytes: UInt64?) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, socket, 3)
        posix_spawn_file_actions_addopen(&actions, weightsDescriptor, weights, O_RDONLY, 0)
        let words = dataMebibytes.map { ["sh", "-c", "ulimit -d \($0 << 10) && exec \"$0\"", executable] } ?? ["llama"]
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        // An empty environment, as the sandbox gives it.
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        var pid: pid_t = 0
        let code = posix_spawn(
            &pid, dataMebibytes == nil ? executable : "/bin/sh", &actions, nil, &arguments, &environment)
        guard code == 0 else { throw LinuxError(code: code, operation: "start \(executable)") }
        return pid
    }

    /// How the process ended: as wait(2) tells it. Waits until it has.
    func wait() -> CInt {
        if let exitStatus { return exitStatus }
        var status: CInt = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        exitStatus = status
        return status
    }
}

// The conversation.
extension DrivenBackend {
    private func load(_ weights: String, contextTokens: UInt32, maxSequences: UInt32) throws {
        while conversation.hello == nil { try receive() }
        try say(
            .welcome(
                Welcome(
                    revision: 1, maxFrameBytes: UInt32(ContractLimits.backendFrameBytesMax),
                    pingIntervalMilliseconds: 1_000)))
        var status = stat()
        try checked("stat \(weights)") { stat(weights, &status) }
        try say(
            .load(
                Load(
                    model: "demo", weightsDescriptor: UInt32(Self.weightsDescriptor),
                    weightsBytes: UInt64(status.st_size), contextTokens: contextTokens, maxSequences: maxSequences)))
        while conversation.loaded == nil { try receive() }
        loaded = conversation.loaded ?? loaded
    }

    func start(
        _ sequence: UInt32, _ request: Hearth_V1_GenerateRequest, credit: UInt32 = 1_000_000, scope: [UInt8] = []
    ) throws {
        completions[sequence] = Completion()
        let request: [UInt8] = try request.serializedBytes()
        try say(.start(Start(sequence: sequence, credit: credit, request: request, cacheScope: scope)))
    }

    func say(_ message: AgentMessage) throws {
        guard try conversation.agentSays(message) else { return }
        var output = OutputBuffer()
        message.appendFrame(to: &output)
        try socket.writeAll(output.bytes)
    }

    /// Waits for the next messages, and notes what they say.
    func receive() throws {
        switch try input.read(from: socket.raw) {
        case .bytes: break
        case .wouldBlock: throw Failure.silent
        case .end: throw Failure.closed
        }
        while let frame = try input.next() {
            let message = try BackendMessage(decoding: frame)
            try conversation.backendSays(message)
            switch message {
            case .tokens(var batch): while let run = try conversation.next(&batch) { note(run) }
            case .pong(let pong): pongs.append(pong)
            case .tokenCount(let count): counts.append(count)
            case .fatal(let fault): throw Failure.fatal(fault)
            case .hello, .loadProgress, .loaded: break
            }
        }
    }

    private func note(_ run: TokenRunView) {
        completions[run.sequence, default: Completion()].tokens += run.tokenIDs
        completions[run.sequence, default: Completion()].bytes += Array(run.text)
        completions[run.sequence]?.finish = run.finish
    }

    /// Waits until every one of these sequences has finished.
    func finish(_ sequences: some Swift.Sequence<UInt32>) throws -> [Completion] {
        try sequences.map { sequence in
            while completions[sequence]?.finish == nil { try receive() }
            return completions[sequence] ?? Completion()
        }
    }

    /// One request on its own, from its start to its finish.
    func complete(_ request: Hearth_V1_GenerateRequest, scope: [UInt8] = []) throws -> Completion {
        try start(0, request, scope: scope)
        return try finish([0])[0]
    }

    func ping() throws -> Pong {
        nonce += 1
        try say(.ping(Ping(nonce: nonce)))
        while pongs.last?.nonce != nonce { try receive() }
        return pongs[pongs.count - 1]
    }

    func countTokens(_ request: Hearth_V1_GenerateRequest) throws -> Result<UInt32, Fault> {
        let query = UInt32(counts.count)
        try say(.countTokens(CountTokens(query: query, request: try request.serializedBytes())))
        while counts.count <= Int(query) { try receive() }
        return counts[Int(query)].result ?? .failure(Fault(.internal, "no result"))
    }
}
