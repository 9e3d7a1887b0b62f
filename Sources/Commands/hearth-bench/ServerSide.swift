internal import Foundation
internal import Glibc
internal import LinuxSystem

/// llama-server, asked by its own interface (POST /completion), each request on a connection of its own. The answers stream,
/// as the agent's do; nothing of them is read but the number of tokens at the end.
struct ServerSide: CompletionSide {
    let port: UInt16
    let pid: Int32

    func complete(_ prompts: [[UInt32]], tokens: Int) async throws {
        let answers = try ServerAnswers(prompts.map { try ask($0, tokens) })
        try answers.read(untilAllHaveEnded: true)
        guard answers.counts.allSatisfy({ $0 == tokens }) else {
            throw BenchError("llama-server gave \(answers.counts) of \(tokens) tokens: \(answers.lastWords)")
        }
    }

    func begin(_ prompts: [[UInt32]], tokens: Int) async throws -> any Neighbours {
        let answers = try ServerAnswers(prompts.map { try ask($0, tokens) })
        return ServerNeighbours(answers: answers)
    }

    func processorSeconds() throws -> Double { try Measurement.processorSecondsOfTree(pid) }

    private func ask(_ prompt: [UInt32], _ tokens: Int) throws -> CInt {
        let socket = try Socket.connect(to: .internet(host: "127.0.0.1", port: port))
        Socket.setNoDelay(socket)
        try socket.setNonblocking(false)
        let body = """
            {"prompt":[\(prompt.map(String.init).joined(separator: ","))],"n_predict":\(tokens),"temperature":0,\
            "ignore_eos":true,"cache_prompt":false,"stream":true,"response_fields":["tokens_predicted"]}
            """
        try socket.writeAll(
            Array(
                """
                POST /completion HTTP/1.1\r
                Host: 127.0.0.1\r
                Connection: close\r
                Content-Type: application/json\r
                Content-Length: \(body.utf8.count)\r
                \r
                \(body)
                """.utf8))
        return socket.release()
    }
}

/// The streams beside a measured prompt, read on a thread of their own so that none waits for its reader.
private final class ServerNeighbours: Neighbours {
    private let reading: Task<Int, any Error>
    private let answers: ServerAnswers

    init(answers: ServerAnswers) {
        self.answers = answers
        reading = Task.detached {
            try answers.read(untilAllHaveEnded: false)
            return answers.running
        }
    }

    func end() async throws -> Int {
        answers.stop()
        return try await reading.value
    }
}

/// The answers on several sockets, which it closes. One task at a time reads; `stop` may be called by another, and only
/// writes to a pipe: that is why it is `unchecked`.
private final class ServerAnswers: @unchecked Sendable {
    private var polled: [pollfd]
    private let descriptors: [CInt]
    /// The end of each answer, which tells its number of tokens.
    private var tails: [[UInt8]]
    private let stopping: (read: CInt, write: CInt)

    init(_ sockets: [CInt]) throws {
        descriptors = sockets
        polled = sockets.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        tails = Array(repeating: [], count: sockets.count)
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else { throw LinuxError.last("make a pipe") }
        stopping = (ends[0], ends[1])
        polled.append(pollfd(fd: stopping.read, events: Int16(POLLIN), revents: 0))
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
        close(stopping.read)
        close(stopping.write)
    }

    /// The answers that have not ended.
    var running: Int { polled.dropLast().count { $0.fd >= 0 } }

    /// Also returns when `stop` was called; the connections then close with this object, which ends their requests.
    func read(untilAllHaveEnded: Bool) throws {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while running > 0 {
            poll(&polled, nfds_t(polled.count), -1)
            if polled[tails.count].revents != 0 { return }
            for index in tails.indices where polled[index].fd >= 0 && polled[index].revents != 0 {
                let count = Glibc.read(polled[index].fd, &buffer, buffer.count)
                if count <= 0 {
                    polled[index].fd = -1
                } else {
                    tails[index] = (tails[index] + buffer.prefix(count)).suffix(4 << 10)
                }
            }
        }
    }

    func stop() { write(stopping.write, [1], 1) }

    /// The tokens of each answer, as its last event tells; nil where it does not.
    var counts: [Int?] {
        tails.map { tail in
            let text = String(decoding: tail, as: UTF8.self)
            guard let key = text.range(of: "\"tokens_predicted\":", options: .backwards) else { return nil }
            return Int(text[key.upperBound...].prefix { $0.isNumber })
        }
    }

    var lastWords: String { String(decoding: tails.first?.suffix(500) ?? [], as: UTF8.self) }
}
