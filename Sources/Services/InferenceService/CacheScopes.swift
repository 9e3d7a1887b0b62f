internal import Cryptography
internal import GRPC

/// Names the caller that a backend computes for by bytes that mean nothing else. A prompt that one caller had computed
/// must not be answered faster for another, who could find out by this what others ask.
struct CacheScopes: Sendable {
    private let secret: [UInt8]

    /// Uses a secret of its own, so that scopes differ after each start.
    init(secret: [UInt8] = SecretBytes.random(32)) { self.secret = secret }

    /// 32 bytes, the same for the same caller.
    func scope(of caller: CallerID) -> [UInt8] { (secret + caller.bytes).withUnsafeBytes { SHA256.digest($0) } }
}
