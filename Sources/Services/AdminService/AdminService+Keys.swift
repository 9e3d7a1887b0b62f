internal import ConsumerAccess
internal import EventLoop
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

// Keys, of which the agent knows no secret but that of a key that it has just made.
extension AdminService {
    func listKeys(_ request: Hearth_Admin_V1_ListKeysRequest) throws(Status) -> Hearth_Admin_V1_ListKeysResponse {
        try AdminAnswers.page(of: keys?().keys ?? [], request, now: Date())
    }

    func createKey(_ request: Hearth_Admin_V1_CreateKeyRequest) async throws(Status)
        -> Hearth_Admin_V1_CreateKeyResponse
    {
        let secret = KeySecret.random()
        let now = Date()
        let lifetime = request.hasExpiresInSeconds ? request.expiresInSeconds : nil
        if let lifetime, lifetime == 0 || lifetime > AccessLimits.lifetimeSecondsMax {
            throw Status(
                .invalidArgument, "expires_in_seconds must be 1 to \(AccessLimits.lifetimeSecondsMax), not \(lifetime)")
        }
        let priority = request.hasPriority ? RequestPriority(rawValue: request.priority) : nil
        guard priority != nil || !request.hasPriority else {
            throw Status(
                .invalidArgument, "priority must be one of \(RequestPriority.inWords), not '\(request.priority)'")
        }
        let limits = KeyLimits(
            streams: request.hasStreams ? request.streams : nil,
            tokensPerMinute: request.hasTokensPerMinute ? request.tokensPerMinute : nil, models: request.models,
            share: request.hasShare ? request.share : nil, priority: priority)
        try await change { (book) throws(AccessError) in
            try book.create(request.name, secret: secret, limits: limits, now: now, lifetimeSeconds: lifetime)
        }
        guard let key = keys?().key(of: secret) else {
            throw Status(
                .internalError, "the key '\(request.name)' was made, and could not be read again: see the agent's log")
        }
        return .with {
            $0.secret = secret.text
            $0.key = AdminAnswers.described(key, now: now)
        }
    }

    func revokeKey(_ request: Hearth_Admin_V1_RevokeKeyRequest) async throws(Status)
        -> Hearth_Admin_V1_RevokeKeyResponse
    {
        guard keys?().keys.contains(where: { $0.name == request.name }) == true else {
            throw Status(.notFound, "there is no key '\(request.name)'")
        }
        try await change { (book) throws(AccessError) in try book.revoke(request.name) }
        return Hearth_Admin_V1_RevokeKeyResponse()
    }

    private func change(_ change: @escaping KeyChange) async throws(Status) {
        do throws(AccessError) {
            try await onKeys?(change)
        } catch {
            throw Status(error.isTransient ? .unavailable : .invalidArgument, error.description)
        }
    }
}

extension AdminAnswers {
    private static let keysOfPageMax = 1_000

    /// The keys after those of the page before. Throws INVALID_ARGUMENT when the last of these is gone.
    static func page(
        of keys: [AccessKey], _ request: Hearth_Admin_V1_ListKeysRequest, now: Date
    ) throws(Status) -> Hearth_Admin_V1_ListKeysResponse {
        var first = keys.startIndex
        if !request.pageToken.isEmpty {
            guard let last = keys.firstIndex(where: { $0.name == request.pageToken }) else {
                throw Status(
                    .invalidArgument,
                    "page_token: the key '\(request.pageToken)' is gone; ask from the first page again")
            }
            first = last + 1
        }
        let size = request.pageSize == 0 ? keysOfPageMax : min(Int(request.pageSize), keysOfPageMax)
        let page = keys[first...].prefix(size)
        return .with {
            $0.keys = page.map { described($0, now: now) }
            if page.endIndex < keys.endIndex { $0.nextPageToken = page.last?.name ?? "" }
            $0.count = UInt32(clamping: keys.count)
        }
    }

    static func described(_ key: AccessKey, now: Date) -> Hearth_Admin_V1_Key {
        .with {
            $0.name = key.name
            $0.isOwner = key.isOwner
            $0.createdMilliseconds = milliseconds(key.created)
            if let expires = key.expires { $0.expiresMilliseconds = milliseconds(expires) }
            $0.isExpired = key.isExpired(at: now)
            if let streams = key.limits.streams { $0.streams = streams }
            if let tokens = key.limits.tokensPerMinute { $0.tokensPerMinute = tokens }
            $0.models = key.limits.models
            guard !key.isOwner else { return }
            $0.share = key.limits.share ?? 1
            $0.priority = (key.limits.priority ?? .usualMost).rawValue
        }
    }

    /// Dates of a file may be of any year.
    private static func milliseconds(_ date: Date) -> UInt64 {
        UInt64(min(max(0, date.timeIntervalSince1970), 253_402_300_799) * 1_000)
    }
}
