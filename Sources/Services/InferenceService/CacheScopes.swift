internal import Cryptography
internal import GRPC

/// For whom a backend computes, told apart by texts that tell it nothing else: a prompt that one caller had computed must not
/// be answered faster for another, who could find out so what others ask.
struct CacheScopes: Sendable {
    private let secret: [UInt8]

    /// With a secret of its own, so that scopes are others after each start.
    init(secret: [UInt8] = SecretBytes.random(32)) { self.secret = secret }

    /// 32 bytes, the same for the same caller.
    func scope(of caller: CallerID) -> [UInt8] { (secret + caller.bytes).withUnsafeBytes { SHA256.digest($0) } }
}
