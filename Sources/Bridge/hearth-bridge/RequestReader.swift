internal import HTTPProtocols

/// Reads bodies one at a time: the parts of a JSON text take many times its bytes.
actor RequestReader {
    func read<Body: Sendable>(
        _ bytes: [UInt8], _ make: @Sendable ([UInt8]) throws(HTTPFailure) -> Body
    ) throws(HTTPFailure) -> Body {
        try make(bytes)
    }
}
