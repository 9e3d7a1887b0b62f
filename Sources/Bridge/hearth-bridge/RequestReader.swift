internal import HTTPProtocols

/// Reads bodies one at a time: the parts of a JSON text take many times its bytes.
actor RequestReader {
    func read<Body: HTTPRequestBody>(_: Body.Type, _ bytes: [UInt8]) throws(HTTPFailure) -> Body { try Body(bytes) }
}
