internal import BaseEncodings

/// Percent-encoded text of paths and queries (RFC 3986, section 2.1).
enum PercentEncoding {
    /// Nil for what is no such text, or no UTF-8.
    static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next(), let low = rest.next(), let decoded = fromHexadecimal([high, low])?.first
            else {
                return nil
            }
            bytes.append(decoded)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
