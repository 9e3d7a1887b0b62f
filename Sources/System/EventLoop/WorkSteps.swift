/// What things cost the loop, in *steps*: a step is about 100 ns of one core's work. Whatever one caller asks for is counted
/// in them, so that only the work counts, and not what asks for it.
package enum WorkSteps {
    /// A frame: its header is scanned, nghttp2 takes it apart, and somebody hears of it.
    package static let perFrame = 3
    /// A read from a socket, whatever it gives.
    package static let perRead = 10
    /// A header field, decoded and kept as two strings.
    package static let perHeaderField = 3
    /// Bytes of a header block as they came, decoded whether or not somebody hears of their fields: so many make a step.
    package static let headerBlockBytesPerStep = 4
    /// A field of a message that is decoded into an object, or a group of one.
    package static let perMessageField = 3
    /// A message that is handed over, whatever is in it.
    package static let perMessage = 20
    /// Received bytes that are copied, scanned and compared on their way to whoever they are for: so many make a step.
    package static let bytesCopiedPerStep = 256
    /// Bytes that come out of gzip: so many make a step.
    package static let bytesDecompressedPerStep = 32
    /// zlib begins anew with each compressed message.
    package static let perDecompression = 100
    /// A call: its head is read, its gate asked, its handler made and, at its end, told.
    package static let perCall = 150
    /// A call that is refused before a handler is made for it.
    package static let perRefusal = 100
    /// The server's part of a TLS handshake with a key of P-256 or a 2048-bit RSA key.
    package static let perHandshake = 8_000

    /// Of so many bytes that are copied; at least one.
    package static func copying(_ byteCount: Int) -> Int { max(byteCount, 0) / bytesCopiedPerStep + 1 }

    /// Of so many bytes that come out of gzip, in so many messages.
    package static func decompressing(_ byteCount: Int, messages: Int = 1) -> Int {
        max(byteCount, 0) / bytesDecompressedPerStep + max(messages, 0) * perDecompression
    }
}
