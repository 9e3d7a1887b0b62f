internal import Foundation
internal import GRPC

/// The statuses for a consumer that may not call, with the remedy.
enum AccessRefusal {
    static let missing = Status(
        .unauthenticated,
        "this host asks for a key: send the metadata 'authorization: Bearer KEY' (hearth chat: HEARTH_KEY or "
            + "--key-file); its owner makes one with 'hearth key create NAME'")
    static let ownersMissing = Status(
        .unauthenticated,
        "this asks for an owner's key: send the field 'Authorization: Bearer KEY'; this host's owner makes one with "
            + "'hearth key create --owner NAME'")
    static let unknown = Status(
        .unauthenticated, "the key is not known here, or was revoked: ask the host's owner for another one")
    static let malformed = Status(
        .unauthenticated, "the metadata 'authorization' is none of ours: send it once, as 'Bearer hearth_...'")

    /// Throws PERMISSION_DENIED for a consumer's key where the owner's service is asked (`isOwners`), and for an owner's
    /// key anywhere else.
    static func check(_ key: AccessKey, isOwners: Bool) throws(Status) {
        guard key.isOwner != isOwners else { return }
        throw Status(
            .permissionDenied,
            isOwners
                ? "the key '\(key.name)' is a consumer's, and this asks for an owner's: this host's owner makes one with "
                    + "'hearth key create --owner NAME'"
                : "the key '\(key.name)' is an owner's, which is good for /hearth/v1 over HTTP only: this host's owner makes "
                    + "one for consumers with 'hearth key create NAME'")
    }

    /// Throws UNAUTHENTICATED once the key has expired.
    static func check(_ key: AccessKey, at now: Date) throws(Status) {
        guard key.isExpired(at: now), let expires = key.expires else { return }
        throw Status(
            .unauthenticated,
            "the key '\(key.name)' expired at \(expires.formatted(.iso8601)): ask the host's owner for another one")
    }

    static func subject(_ names: [String]) -> Status {
        let shown = names.isEmpty ? "names nobody" : "names \(names.prefix(8).joined(separator: ", "))"
        return Status(
            .permissionDenied,
            "the client certificate \(shown), which this host does not allow; its owner can with --tls-client-subject")
    }

    /// `key` nil: the caller has none.
    static func priority(_ asked: RequestPriority, most: RequestPriority, key: AccessKey?) -> Status {
        let who = key.map { "the key '\($0.name)' allows" } ?? "a caller without a key may have"
        return Status(
            .permissionDenied,
            "\(who) the priority '\(most.rawValue)' at most, and not '\(asked.rawValue)'; ask for that, or the host's owner "
                + "for a key of 'hearth key create NAME --priority \(asked.rawValue)'")
    }

    static func rate(_ key: AccessKey, seconds: UInt64) -> Status {
        Status(
            .resourceExhausted,
            "the key '\(key.name)' has used its \(key.limits.tokensPerMinute ?? 0) tokens of this minute; "
                + "try again in \(seconds) s",
            details: [
                .retry(afterMilliseconds: seconds * 1000),
                .quotaFailure(subject: "key:\(key.name)", description: "tokens per minute"),
            ])
    }

    /// The secret in an authorization header's value, RFC 6750, section 2.1; the scheme in any case.
    static func secret(in header: String) -> KeySecret? {
        let parts = header.split(separator: " ")
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return KeySecret(parts[1])
    }
}
