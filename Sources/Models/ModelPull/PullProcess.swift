internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// `hearth-pull` at work for one pull. It ends when `stop` was called, or with the process that started it.
///
/// One task asks for its events; `stop` may be called by any.
package final class PullProcess: Sendable {
    private struct Input: ~Copyable {
        var pipe: Descriptor?
    }

    private let input: Mutex<Input>
    private let reader: EventReader
    private let processID: CInt

    /// Starts the program at `path`. `variables`: the environment. Blocks for as long as that takes.
    package init(path: String, request: PullRequest, variables: [String: String]) throws(PullFailure) {
        do throws(LinuxError) {
            let line = Array((request.json + "\n").utf8)
            guard line.count <= PullRequest.bytesMax else {
                throw LinuxError(code: E2BIG, operation: "ask for a model")
            }
            let asked = try Descriptor.pipe()
            let said = try Descriptor.pipe()
            // Its errors have events; what else it writes says nothing to a person.
            let nothing = try Descriptor.open("/dev/null", O_WRONLY)
            processID = try ProcessSpawn.spawn(
                path, arguments: ["hearth-pull"], environment: variables.map { "\($0.key)=\($0.value)" },
                descriptors: [asked.first.raw, said.second.raw, nothing.raw])
            reader = EventReader(said.takeFirst())
            let pipe = asked.takeSecond()
            // The pipe takes it whole: it holds more (pipe(7)).
            try? pipe.writeAll(line)
            input = Mutex(Input(pipe: pipe))
        } catch {
            throw PullFailure(.refused, "hearth-pull cannot be started: \(error)")
        }
    }

    deinit {
        input.withLock { $0.pipe = nil }
        Self.reap(processID)
    }

    /// The next event; nil after the last one. The events are those of one pull: the last is `done` or `failed`.
    package func next() async -> PullEvent? {
        let reader = reader
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                do throws(LinuxError) {
                    try DetachedThread.run { continuation.resume(returning: reader.next()) }
                } catch {
                    continuation.resume(returning: PullEvent(PullFailure(.temporary, "\(error)")))
                }
            }
        } onCancel: {
            stop()
        }
    }

    /// Has it end soon; what it has fetched stays for the next pull of the same model.
    package func stop() { input.withLock { $0.pipe = nil } }

    /// Waits for the process on a thread of its own, so that it is not left a zombie.
    private static func reap(_ processID: CInt) {
        try? DetachedThread.run {
            var status: CInt = 0
            while waitpid(processID, &status, 0) < 0, errno == EINTR {}
        }
    }
}

/// Reads the events from the process's standard output. Asked by one thread at a time.
private final class EventReader: @unchecked Sendable {
    private let pipe: Descriptor
    private var bytes: [UInt8] = []
    private var isOver = false

    init(_ pipe: consuming Descriptor) { self.pipe = pipe }

    func next() -> PullEvent? {
        while !isOver {
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(bytes[..<end])
                bytes.removeSubrange(...end)
                guard let event = try? PullEvent(json: line) else { break }
                isOver = event.kind == .done || event.kind == .failed
                return event
            }
            guard bytes.count <= PullEvent.lineBytesMax else { break }
            var piece = [UInt8](repeating: 0, count: PullEvent.lineBytesMax)
            let count = read(pipe.raw, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        defer { isOver = true }
        guard !isOver else { return nil }
        return PullEvent(PullFailure(.temporary, "hearth-pull ended without a word; run the same command to go on"))
    }

}
