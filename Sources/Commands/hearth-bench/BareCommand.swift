internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import LinuxSystem

/// The same load without HTTP/2, gRPC, protobuf, sandbox or flow control: a producer writes the bytes of tokens to a Unix
/// socket, a relay reads them in bulk and writes them to TCP connections, this process reads them. It is the bound.
struct BareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare", abstract: "Pass the same bytes through a bare socket loop.")

    @OptionGroup var load: Load
    @Option(help: "Bytes of a token on the wire, as the relay's run printed them.")
    var bytesPerToken = 19

    func run() async throws {
        let relay = Process()
        let output = Pipe()
        relay.executableURL = URL(
            fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        relay.arguments = ["bare-relay"] + arguments
        relay.standardOutput = output
        try relay.run()
        let line = output.fileHandleForReading.availableData
        guard let port = UInt16(String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
        else {
            throw BenchError("the bare relay did not start")
        }
        let measurement = try Measurement(of: relay.processIdentifier)
        var left = [Int](repeating: load.streams * load.tokens * bytesPerToken, count: load.connections)
        var polled: [pollfd] = []
        for _ in 0..<load.connections {
            let socket = try Socket.connect(to: .internet(host: "127.0.0.1", port: port))
            polled.append(pollfd(fd: socket.release(), events: Int16(POLLIN), revents: 0))
        }
        var buffer = [UInt8](repeating: 0, count: 128 << 10)
        while left.contains(where: { $0 > 0 }) {
            poll(&polled, nfds_t(polled.count), -1)
            for index in polled.indices where polled[index].revents != 0 {
                let count = read(polled[index].fd, &buffer, buffer.count)
                if count == 0 { polled[index].fd = -1 }
                left[index] -= max(count, 0)
            }
        }
        let bytes = UInt64(load.total * bytesPerToken)
        try Measurement.print(try measurement.figures(tokens: load.total, bytes: bytes))
        relay.terminate()
    }

    private var arguments: [String] {
        [
            "--connections", "\(load.connections)", "--streams", "\(load.streams)", "--tokens", "\(load.tokens)",
            "--burst",
            "\(load.burst)", "--rate", "\(load.rate)", "--bytes-per-token", "\(bytesPerToken)",
        ]
    }
}

/// The relay of the bare loop; prints its port, serves one load, and waits to be ended.
struct BareRelayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bare-relay", shouldDisplay: false)

    @OptionGroup var load: Load
    @Option var bytesPerToken: Int

    func run() throws {
        let (listener, port) = try Socket.listen(on: .internet(host: "127.0.0.1", port: 0)).take {
            descriptor, address in
            guard case .internet(_, let port) = address else { throw BenchError("no port") }
            return (descriptor.release(), port)
        }
        FileHandle.standardOutput.write(Data("\(port)\n".utf8))
        var consumers: [CInt] = []
        while consumers.count < load.connections {
            let socket = accept(listener, nil, nil)
            if socket >= 0 { consumers.append(socket) } else { usleep(1000) }
        }
        let (mine, producer) = try Descriptor.socketPair().take { ($0.release(), $1.release()) }
        try start(producer)
        // One chunk is what a producer's step gives one connection: its streams, side by side.
        let chunk = load.burst * load.streams * bytesPerToken
        var buffer = [UInt8](repeating: 0, count: max(128 << 10, chunk))
        var sent = 0
        while true {
            let count = read(mine, &buffer, buffer.count)
            if count <= 0 { break }
            var start = 0
            while start < count {
                let length = min(chunk - sent % chunk, count - start)
                let consumer = consumers[sent / chunk % consumers.count]
                var done = 0
                while done < length {
                    let written = buffer.withUnsafeBytes {
                        send(consumer, $0.baseAddress! + start + done, length - done, 0)
                    }
                    if written < 0 { throw LinuxError.last("send") }
                    done += written
                }
                start += length
                sent += length
            }
        }
        // Its processor time is read from /proc until it is ended.
        pause()
    }

    private func start(_ socket: CInt) throws {
        let producer = Process()
        producer.executableURL = URL(
            fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        producer.arguments = [
            "bare-producer", "--connections", "\(load.connections)", "--streams", "\(load.streams)", "--tokens",
            "\(load.tokens)", "--burst", "\(load.burst)", "--rate", "\(load.rate)", "--bytes-per-token",
            "\(bytesPerToken)",
        ]
        producer.standardOutput = FileHandle(fileDescriptor: socket, closeOnDealloc: true)
        try producer.run()
        close(socket)
    }
}

/// The producer of the bare loop: a step writes `burst` tokens of every stream to standard output.
struct BareProducerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bare-producer", shouldDisplay: false)

    @OptionGroup var load: Load
    @Option var bytesPerToken: Int

    func run() throws {
        let step = Data(repeating: 0x61, count: load.burst * load.streams * load.connections * bytesPerToken)
        var next = Monotonic.now()
        for _ in 0..<(load.tokens / load.burst) {
            try FileHandle.standardOutput.write(contentsOf: step)
            guard load.rate > 0 else { continue }
            next = next.advanced(nanoseconds: UInt64(1_000_000_000 / load.rate))
            usleep(UInt32(next.since(.now()) / 1000))
        }
    }
}
