import EventLoop
import Foundation
import GRPC
import LinuxSystem
import SwiftProtobuf

typealias Text = Google_Protobuf_StringValue
typealias Bytes = Google_Protobuf_BytesValue
typealias Number = Google_Protobuf_UInt64Value

/// Methods for every shape of call, on messages that SwiftProtobuf brings.
struct EchoService: Service {
    let name = "test.Echo"
    let log = CallLog()

    func method(_ name: String) -> Method? {
        switch name {
        case "Unary": .unary { (request: Text, context: CallContext) in try await unary(request, context) }
        case "Bytes": .unary { (request: Bytes, _: CallContext) in request }
        case "Count":
            .serverStreaming { (request: Number, writer: ResponseWriter<Number>, _: CallContext) in
                for index in 0..<request.value { try await writer.send(Number(index)) }
            }
        case "Echo":
            .bidirectional { (requests: MessageStream<Bytes>, writer: ResponseWriter<Bytes>, _: CallContext) in
                for try await request in requests { try await writer.send(request) }
            }
        case "Choose":
            .bidirectional { (requests: MessageStream<Bytes>, writer: ResponseWriter<Bytes>, context: CallContext) in
                await context.setResponseEncoding(context.metadata["answers"] == "gzip" ? .gzip : .identity)
                for try await request in requests { try await writer.send(request) }
            }
        case "WasCompressed":
            .unary { (_: Bytes, context: CallContext) in Text("\(await context.isRequestCompressed)") }
        case "WereCompressed":
            .bidirectional { (requests: MessageStream<Bytes>, writer: ResponseWriter<Text>, _: CallContext) in
                for try await _ in requests { try await writer.send(Text("\(await requests.isMessageCompressed)")) }
            }
        case "Flood": Method { call in FloodHandler(call) }
        case "Deaf":
            .bidirectional { (_: MessageStream<Bytes>, _: ResponseWriter<Bytes>, _: CallContext) in
                try await Task.sleep(for: .seconds(3_600))
            }
        case "Hang": Method { call in HangHandler(call, log) }
        case "Early": Method { call in EarlyHandler(call) }
        case "Heedless": Method { call in HeedlessHandler(call, log, finishes: false) }
        case "HeedlessToTheEnd": Method { call in HeedlessHandler(call, log, finishes: true) }
        case "Paused": Method { call in PausedHandler(call, log) }
        default: nil
        }
    }

    private func unary(_ request: Text, _ context: CallContext) async throws -> Text {
        switch request.value {
        case "fail": throw Status(.notFound, "no such thing: 100 % \u{1F525}\nreally")
        case "crash": throw Unknown()
        case "metadata":
            let metadata = await context.metadata
            var trailers = Metadata()
            try trailers.add("seen-bin", binary: metadata.binary("some-bin") ?? [])
            await context.setTrailers(trailers)
            return Text(metadata["some"] ?? "")
        default: return request
        }
    }

    struct Unknown: Error {}
}

/// What handlers have noticed, awaitable.
@IOLoop
final class CallLog {
    private var entries: [String] = []
    private var waiters: [(String, CheckedContinuation<Void, Never>)] = []
    var handlers: [AnyObject] = []

    nonisolated init() {}

    /// Lets go of the handlers, which hold their calls, their server and with it this.
    func forget() { handlers.removeAll() }

    func note(_ entry: String) {
        entries.append(entry)
        let met = waiters.filter { $0.0 == entry }
        waiters.removeAll { $0.0 == entry }
        for (_, waiter) in met { waiter.resume() }
    }

    func wait(for entry: String) async {
        if entries.contains(entry) { return }
        await withCheckedContinuation { waiters.append((entry, $0)) }
    }
}

/// Sends numbered messages as fast as it may, each of eight bytes, as many as the request's first message says.
@IOLoop
final class FloodHandler: CallHandler {
    private let call: ServerCall
    private var left: UInt64 = 0
    private var sent: UInt64 = 0

    init(_ call: ServerCall) { self.call = call }

    func received(_ message: UnsafeRawBufferPointer) {
        left = (try? Number(serializedBytes: Array(message)))?.value ?? 0
        sendBufferDrained()
    }

    func receivedEnd() {}

    func sendBufferDrained() {
        while left > 0, !call.isCongested {
            let number = sent
            call.send(byteCount: 8) { $0.storeBytes(of: number.littleEndian, as: UInt64.self) }
            sent += 1
            left -= 1
        }
        if left == 0 { call.finish(.ok) }
    }

    func cancelled(_ status: Status) { left = 0 }
}

/// Answers nothing, and notes how it was cancelled.
@IOLoop
final class HangHandler: CallHandler {
    private let log: CallLog

    init(_ call: ServerCall, _ log: CallLog) {
        self.log = log
        call.sendInitialMetadata()
        log.note("began")
    }

    func received(_ message: UnsafeRawBufferPointer) {}
    func receivedEnd() {}
    func sendBufferDrained() {}
    func cancelled(_ status: Status) { log.note("\(status.code.name)") }
}

/// Ends the call at the first message, while the client still sends.
@IOLoop
final class EarlyHandler: CallHandler {
    private let call: ServerCall

    init(_ call: ServerCall) { self.call = call }

    func received(_ message: UnsafeRawBufferPointer) { call.finish(Status(.failedPrecondition, "enough")) }
    func receivedEnd() {}
    func sendBufferDrained() {}
    func cancelled(_ status: Status) {}
}

/// Sends as much as the first message says, in the middle of changing itself, whether or not anybody reads.
@IOLoop
final class HeedlessHandler: CallHandler {
    private struct Progress {
        var sentBytes: UInt64 = 0

        @IOLoop mutating func send(_ bytes: UInt64, on call: ServerCall) {
            while sentBytes < bytes {
                call.send(Bytes.with { $0.value = Data(count: 10_000) })
                sentBytes += 10_000
            }
        }
    }

    private let call: ServerCall
    private let log: CallLog
    private var progress = Progress()

    private let finishes: Bool

    init(_ call: ServerCall, _ log: CallLog, finishes: Bool) {
        self.call = call
        self.log = log
        self.finishes = finishes
    }

    func received(_ message: UnsafeRawBufferPointer) {
        progress.send((try? Number(serializedBytes: Array(message)))?.value ?? 0, on: call)
        if finishes { call.finish(.ok) }
    }

    func receivedEnd() {}
    func sendBufferDrained() {}
    func cancelled(_ status: Status) { log.note("\(status.code.name) after \(progress.sentBytes)") }
}

/// Takes nothing until the test lets it.
@IOLoop
final class PausedHandler: CallHandler {
    private let call: ServerCall
    private var bytes: UInt64 = 0

    init(_ call: ServerCall, _ log: CallLog) {
        self.call = call
        call.pauseReceiving()
        log.handlers.append(self)
        log.note("paused")
    }

    func resume() { call.resumeReceiving() }
    func received(_ message: UnsafeRawBufferPointer) { bytes += UInt64(message.count) }

    func receivedEnd() {
        call.send(Number(bytes))
        call.finish(.ok)
    }

    func sendBufferDrained() {}
    func cancelled(_ status: Status) {}
}
