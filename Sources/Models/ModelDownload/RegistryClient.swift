internal import BaseEncodings
internal import Cryptography
internal import ModelPull
internal import StrictJSON

/// Asks a registry for manifests and blobs (OCI distribution specification), and logs in where it wants that.
final class RegistryClient {
    private let http: HTTPClient
    private let image: ImageReference
    private let store: CredentialStore
    private var scheme = "https"
    private var isSchemeSure = false
    private var authorization = HTTPRequest.Authorization.none
    /// Whose credentials were used; nil: nobody's.
    private var askedAs: String?

    private static let tokenBytesMax = 256 << 10

    init(_ image: ImageReference, http: HTTPClient, store: CredentialStore) {
        self.image = image
        self.http = http
        self.store = store
        isSchemeSure = !image.isLoopback
    }

    /// The bytes of a manifest, with the digest that they were asked by, or that the registry names.
    func manifest(_ selector: String) throws -> [UInt8] {
        let (head, body) = try answered("manifests/\(selector)") { request in
            var request = request
            request.accept = ImageManifest.mediaTypes
            return try self.http.text(request, bytesMax: ImageManifest.bytesMax)
        }
        guard head.status == 200 else { throw refusal(head, body, "its manifest") }
        let digest = "sha256:" + hexadecimal(body.withUnsafeBytes { SHA256.digest($0) })
        let said = [selector.hasPrefix("sha256:") ? selector : nil, head.value("docker-content-digest")]
        for expected in said.compactMap({ $0 }) where expected.hasPrefix("sha256:") && expected != digest {
            throw PullFailure(
                .refused,
                "\(image.host) answers with a manifest whose digest is \(digest), not \(expected): pull it again later, "
                    + "or tell who runs the registry")
        }
        return body
    }

    /// A small blob, whole; throws if it is not what its digest says.
    func blob(_ blob: BlobDescriptor, bytesMax: Int) throws -> [UInt8] {
        let (head, body) = try answered("blobs/\(blob.digestText)") { request in
            try self.http.text(request, bytesMax: bytesMax)
        }
        guard head.status == 200 else { throw refusal(head, body, "a layer") }
        guard body.withUnsafeBytes({ SHA256.digest($0) }) == blob.digest else {
            throw PullFailure(.refused, "\(image.host) sends other bytes for \(blob.digestText)")
        }
        return body
    }

    /// Passes the bytes of a blob on as they come. Throws for another answer than 200 and 206; a 416 is returned.
    func stream(
        _ digest: String, range: String?, _ receive: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPHead {
        let (head, body) = try answered("blobs/\(digest)") { request in
            var request = request
            request.range = range
            return try self.http.stream(request, receive)
        }
        guard [200, 206, 416].contains(head.status) else { throw refusal(head, body, "its layer \(digest)") }
        return head
    }

    /// Makes a request; where the answer is 401, logs in and makes it once more.
    private func answered(
        _ path: String, _ ask: (HTTPRequest) throws -> (head: HTTPHead, body: [UInt8])
    ) throws -> (head: HTTPHead, body: [UInt8]) {
        let first = try attempt(path, ask)
        guard first.head.status == 401 else { return first }
        guard try logIn(first.head) else { return first }
        return try attempt(path, ask)
    }

    private func attempt(
        _ path: String, _ ask: (HTTPRequest) throws -> (head: HTTPHead, body: [UInt8])
    ) throws -> (head: HTTPHead, body: [UInt8]) {
        do {
            let answer = try ask(request(path))
            isSchemeSure = true
            return answer
        } catch let failure as TransferFailure where failure.isWithoutTLS && !isSchemeSure {
            // As Docker does on this machine itself.
            scheme = "http"
            isSchemeSure = true
            return try ask(request(path))
        }
    }

    private func request(_ path: String) -> HTTPRequest {
        HTTPRequest(
            url: "\(scheme)://\(image.endpoint)/v2/\(image.repository)/\(path)", authorization: authorization)
    }

    /// Whether there is another authorization now than before.
    private func logIn(_ head: HTTPHead) throws -> Bool {
        let challenges = head.values("www-authenticate").flatMap(Challenge.parse)
        let credentials = try store.credentials(for: image)
        switch credentials {
        case .password(let user, _): askedAs = "'\(user)'"
        case .identityToken: askedAs = "the owner of its token"
        case nil: askedAs = nil
        }
        if let bearer = challenges.first(where: { $0.scheme == "bearer" }) {
            authorization = .bearer(try token(bearer, credentials))
            return true
        }
        guard challenges.contains(where: { $0.scheme == "basic" }),
            case .password(let user, let password)? = credentials,
            authorization == .none
        else { return false }
        authorization = .basic(user: user, password: password)
        return true
    }

    /// Asks the registry's token service (distribution: docs/spec/auth/token.md, oauth.md).
    private func token(_ challenge: Challenge, _ credentials: RegistryCredentials?) throws -> String {
        guard let realm = challenge.parameters["realm"], let host = HostName(ofAddress: realm),
            realm.hasPrefix("https://") || (realm.hasPrefix("http://") && host.isLoopback && image.isLoopback)
        else {
            throw PullFailure(
                .refused, "\(image.host) wants a token from a service without TLS, which gets none of yours")
        }
        let scope = challenge.parameters["scope"] ?? "repository:\(image.repository):pull"
        var fields = [("scope", scope)]
        if let service = challenge.parameters["service"] { fields.insert(("service", service), at: 0) }
        var request = HTTPRequest(url: realm)
        switch credentials {
        case .identityToken(let token):
            fields += [("grant_type", "refresh_token"), ("client_id", "hearth"), ("refresh_token", token)]
            request.form = Self.form(fields)
        case .password(let user, let password):
            request.authorization = .basic(user: user, password: password)
            request.url += (realm.contains("?") ? "&" : "?") + Self.form(fields)
        case nil: request.url += (realm.contains("?") ? "&" : "?") + Self.form(fields)
        }
        let (head, body) = try http.text(request, bytesMax: Self.tokenBytesMax)
        guard head.status == 200 else {
            if [400, 401, 403].contains(head.status) { throw refusal(head, body, "a token") }
            throw temporary(head, "its token service, \(host.text), answers status \(head.status)")
        }
        let node = try? JSONNode.parse(body, file: "the token")
        guard case .object(let members)? = node?.value else {
            throw PullFailure(.refused, "\(host.text) answers with no token")
        }
        for key in ["token", "access_token"] {
            if case .string(let token)? = members.first(where: { $0.key == key })?.node.value, !token.isEmpty,
                token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
            {
                return token
            }
        }
        throw PullFailure(.refused, "\(host.text) answers with no token")
    }

    private static func form(_ fields: [(String, String)]) -> String {
        fields.map { name, value in
            "\(name)="
                + value.utf8.map { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                        UInt8(ascii: "~"):
                        String(UnicodeScalar(byte))
                    default: "%" + hexadecimal([byte]).uppercased()
                    }
                }.joined()
        }.joined(separator: "&")
    }

    private func temporary(_ head: HTTPHead, _ text: String) -> TransferFailure {
        HTTPAnswer.failure(head, "\(image.host): \(text)")
    }

    /// The error for an answer that is no success.
    private func refusal(_ head: HTTPHead, _ body: [UInt8], _ what: String) -> any Error {
        let said = Self.message(body).map { " (\($0))" } ?? ""
        switch head.status {
        case 401, 403:
            return PullFailure(
                .refused,
                "\(image.host) does not give \(image.repository) to \(askedAs ?? "everybody")\(said): see whether the name is "
                    + "right, and log in\(askedAs == nil ? "" : " anew") with: docker login \(image.host)")
        case 404:
            return PullFailure(.refused, "\(image.host) has no \(image.repository):\(image.selector)\(said)")
        default: return temporary(head, "status \(head.status) for \(what)\(said)")
        }
    }

    /// The message in a registry's error.
    private static func message(_ body: [UInt8]) -> String? {
        guard case .object(let members)? = (try? JSONNode.parse(body, file: ""))?.value,
            case .array(let errors)? = members.first(where: { $0.key == "errors" })?.node.value,
            case .object(let first)? = errors.first?.value,
            case .string(let message)? = first.first(where: { $0.key == "message" })?.node.value, !message.isEmpty
        else { return nil }
        return String(message.prefix(200))
    }
}

/// What an answer's status says of another attempt.
enum HTTPAnswer {
    static func failure(_ head: HTTPHead, _ text: String) -> TransferFailure {
        let isTransient = [408, 425, 429, 500, 502, 503, 504].contains(head.status)
        var failure = TransferFailure(description: text, isTransient: isTransient)
        failure.retryAfter = head.number("retry-after")
        return failure
    }
}
