/// The cost of work on the loop in *steps*: a step is about 100 ns of one core's work. All work for a caller is counted
/// in steps, whatever kind of request caused it.
package enum WorkSteps {
    /// A frame: its header is scanned, nghttp2 parses it, and a callback is called.
    package static let perFrame = 3
    /// A read from a socket, whatever it gives.
    package static let perRead = 10
    /// A header field, decoded and kept as two strings.
    package static let perHeaderField = 3
    /// Encoded bytes of a header block in a step; they are decoded even if their fields are dropped.
    package static let headerBlockBytesPerStep = 4
    /// A field of a message that is decoded into an object, or a group of one.
    package static let perMessageField = 3
    /// A message that is handed over, whatever its contents.
    package static let perMessage = 20
    /// Received bytes in a step that are copied, scanned and compared on their way to their handler.
    package static let bytesCopiedPerStep = 256
    /// Bytes in a step that come out of gzip.
    package static let bytesDecompressedPerStep = 32
    /// The initialization of zlib for each compressed message.
    package static let perDecompression = 100
    /// A call: its head is read, its gate asked, its handler made, and told of the end.
    package static let perCall = 150
    /// A call that is refused before a handler is made for it.
    package static let perRefusal = 100
    /// The server's part of a TLS handshake with a key of P-256 or a 2048-bit RSA key.
    package static let perHandshake = 8_000

    /// The steps for copying this many bytes; at least one.
    package static func copying(_ byteCount: Int) -> Int { max(byteCount, 0) / bytesCopiedPerStep + 1 }

    /// The steps for this many bytes that come out of gzip, in this many messages.
    package static func decompressing(_ byteCount: Int, messages: Int = 1) -> Int {
        max(byteCount, 0) / bytesDecompressedPerStep + max(messages, 0) * perDecompression
    }
}
