import GRPC
import HTTPProtocols
import Testing

struct GRPCWebTests {
    @Test(
        "a media type names the form",
        arguments: [
            ("application/grpc-web", GRPCWeb.binary), ("application/grpc-web+proto", .binary),
            ("Application/GRPC-Web+proto; charset=utf-8", .binary), ("application/grpc-web-text", .text),
            ("application/grpc-web-text+proto", .text),
        ])
    func mediaTypes(name: String, form: GRPCWeb) {
        #expect(GRPCWeb(mediaType: name) == form)
    }

    @Test(
        "other media types are no gRPC-Web of ours",
        arguments: [
            nil, "", "application/grpc", "application/grpc-web+json", "application/grpc-web-texts", "text/plain",
        ])
    func otherMediaTypes(name: String?) {
        #expect(GRPCWeb(mediaType: name) == nil)
    }

    @Test("the answer has the request's form, or text where the client accepts that by name")
    func answering() {
        #expect(GRPCWeb.binary.answering(accept: nil) == .binary)
        #expect(GRPCWeb.binary.answering(accept: "application/grpc-web-text") == .text)
        #expect(GRPCWeb.text.answering(accept: "*/*") == .text)
    }

    @Test("a body has one message; in base64 it may come in pieces with padding of their own")
    func message() throws {
        let body: [UInt8] = [0, 0, 0, 0, 2, 0xff, 7]
        #expect(try GRPCWeb.binary.message(in: body) == [0xff, 7])
        #expect(try GRPCWeb.binary.message(in: [0, 0, 0, 0, 0]) == [])
        #expect(try GRPCWeb.text.message(in: GRPCWeb.text.frame([0xff, 7])) == [0xff, 7])
        #expect(try GRPCWeb.text.message(in: Array("AAAAAAI=/wc=".utf8)) == [0xff, 7])
    }

    @Test(
        "a body that is no whole message is refused",
        arguments: [
            ([], Status.Code.internalError), ([0, 0, 0, 0], .internalError), ([0, 0, 0, 0, 2, 1], .internalError),
            ([0, 0xff, 0xff, 0xff, 0xff, 1], .internalError), ([1, 0, 0, 0, 1, 1], .unimplemented),
            ([0x80, 0, 0, 0, 0], .unimplemented), ([0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], .unimplemented),
        ] as [([UInt8], Status.Code)])
    func badMessage(body: [UInt8], code: Status.Code) throws {
        let status = try #require(throws: Status.self) { _ = try GRPCWeb.binary.message(in: body) }
        #expect(status.code == code)
    }

    @Test(
        "a text that is no base64 is refused",
        arguments: ["AAAAA", "AAAA=AAA", "AA===AAA", "====", "AAAAAAI=/w c", "Ü"])
    func badText(text: String) throws {
        let status = try #require(throws: Status.self) { _ = try GRPCWeb.text.message(in: Array(text.utf8)) }
        #expect(status.code == .internalError)
    }

    @Test("frames have the form of gRPC, trailers the flag 0x80, and texts are whole pieces of base64")
    func frames() {
        #expect(GRPCWeb.binary.frame([1, 2]) == [0, 0, 0, 0, 2, 1, 2])
        let trailers = Status(.notFound, "no 'é'").trailers()
        let block = "grpc-status: 5\r\ngrpc-message: no '%C3%A9'\r\n"
        #expect(
            GRPCWeb.binary.frame(trailers: trailers) == [0x80, 0, 0, 0, UInt8(block.utf8.count)] + Array(block.utf8))
        #expect(GRPCWeb.text.frame([1, 2]) == Array("AAAAAAIBAg==".utf8))
        #expect(GRPCWeb.text.frame([]) == Array("AAAAAAA=".utf8))
    }

    @Test("metadata and the deadline are taken from the fields, and what is HTTP's own is not")
    func options() throws {
        let options = try GRPCWeb.options(
            [
                ("grpc-timeout", "1500u"), ("x-run", "a"), ("trace-bin", "AQI, Aw=="), ("content-type", "x"),
                ("x-grpc-web", "1"), ("authorization", "Bearer x"), ("user-agent", "page"), ("sec-fetch-mode", "cors"),
            ], metadata: Metadata())
        #expect(options.timeoutMilliseconds == 2)
        #expect(options.metadata.entries.map(\.key) == ["x-run", "trace-bin", "trace-bin"])
        #expect(options.metadata["x-run"] == "a" && options.metadata.binary("trace-bin") == [1, 2])
        for bad in [("grpc-timeout", "1x"), ("a-bin", "*"), ("x-run", "é"), ("grpc-status", "0")] {
            #expect(throws: Status.self) { try GRPCWeb.options([bad], metadata: Metadata()) }
        }
    }

    @Test("only the method that takes several requests is refused")
    func methods() {
        #expect(GRPCWeb.refusal(method: "Chat")?.code == .unimplemented)
        #expect(GRPCWeb.refusal(method: "Generate") == nil)
    }
}
