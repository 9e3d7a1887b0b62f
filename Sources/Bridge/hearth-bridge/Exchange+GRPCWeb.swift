internal import EventLoop
internal import GRPC
internal import HTTPProtocols
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore

extension Exchange {
    /// Has the agent answer a call of gRPC-Web, whose messages it passes on as they are. How the call ended is told as gRPC tells
    /// it, in the head where no message was sent, unless the body could not be taken.
    func grpcWeb(_ method: String) async throws(HTTPFailure) -> Response {
        guard let form = GRPCWeb(mediaType: request.headers[.contentType]) else {
            throw HTTPFailure(
                415, type: "invalid_request_error", code: "unsupported_media_type",
                "calls of gRPC-Web have the content-type application/grpc-web+proto or application/grpc-web-text+proto")
        }
        let answering = form.answering(accept: request.headers[.accept])
        var begun: BytesCall?
        do {
            if let refusal = GRPCWeb.refusal(method: method) { throw refusal }
            let fields = request.headers.map { ($0.name.canonicalName, $0.value) }
            let options = try GRPCWeb.options(fields, metadata: metadata)
            let message = try await read { (body) throws(HTTPFailure) in
                Result { () throws(Status) in try form.message(in: body) }
            }.get()
            let call = await bridge.agent.serverStreaming(
                "/hearth.v1.Inference/\(method)", bytes: message, options: options)
            begun = call
            for try await first in call.responses { return await passOn(call, first, answering) }
            return await ended(.ok, begun, answering)
        } catch let failure as HTTPFailure {
            throw failure
        } catch let status as Status {
            return await ended(status, begun, answering)
        } catch {
            await begun?.cancel()
            throw .of(error)
        }
    }

    /// An answer without a message, and so without a body: its head says how the call ended.
    private func ended(_ status: Status, _ call: BytesCall?, _ form: GRPCWeb) async -> Response {
        var headers = await fields(call, form)
        headers.append(status.trailers(await call?.trailers ?? Metadata()))
        headers[.contentLength] = "0"
        return Response(status: .ok, headers: headers)
    }

    private func passOn(_ call: BytesCall, _ first: [UInt8], _ form: GRPCWeb) async -> Response {
        let body = ResponseBody { writer in
            var end = Status.ok
            do {
                try await writer.write(ByteBuffer(bytes: form.frame(first)))
                for try await message in call.responses {
                    try await writer.write(ByteBuffer(bytes: form.frame(message)))
                }
            } catch let status as Status {
                end = status
            } catch {
                await call.cancel()
                throw ConnectionEnd()
            }
            try await writer.write(ByteBuffer(bytes: form.frame(trailers: end.trailers(await call.trailers))))
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: await fields(call, form), body: body)
    }

    /// The head of an answer; pages of other origins may read how the call ended, and the agent's metadata.
    private func fields(_ call: BytesCall?, _ form: GRPCWeb) async -> HTTPFields {
        let metadata = await call?.initialMetadata.fields ?? []
        var headers = HTTPFields()
        headers[.contentType] = form.mediaType
        headers[.cacheControl] = "no-store"
        // nginx would hold the messages back.
        headers[.accelBuffering] = "no"
        headers.append(metadata)
        if request.headers[.origin] != nil {
            let exposed = ["grpc-status", "grpc-message", "grpc-status-details-bin"] + metadata.map(\.name)
            headers[.accessControlExposeHeaders] = exposed.joined(separator: ", ")
        }
        return headers
    }
}

extension HTTPFields {
    fileprivate mutating func append(_ fields: [(name: String, value: String)]) {
        for (name, value) in fields {
            guard let name = HTTPField.Name(name) else { continue }
            append(HTTPField(name: name, value: value))
        }
    }
}
