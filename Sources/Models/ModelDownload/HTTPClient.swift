internal import CCurl
internal import Glibc
internal import ModelPull

/// A request by HTTP(S).
struct HTTPRequest {
    /// How a server is told who asks. Never sent to another host that it redirects to.
    enum Authorization: Equatable {
        case none
        case basic(user: String, password: String)
        case bearer(String)
        /// From ~/.netrc, if that names the host (curl(1)).
        case netrc
    }

    var url: String
    var accept: [String] = []
    var authorization = Authorization.none
    /// The bytes that are wanted, as the Range field has them after "bytes="; nil: all.
    var range: String?
    /// A form in its encoding, which is sent by POST; nil: GET.
    var form: String?
}

/// The status and the header fields of a response, without those of redirects before it.
struct HTTPHead {
    var status = 0
    private(set) var fields: [(name: String, value: String)] = []

    /// All values of the fields of a name, which is in lower case.
    func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }
    func value(_ name: String) -> String? { values(name).first }

    /// The number in its only field of that name.
    func number(_ name: String) -> UInt64? { value(name).flatMap { UInt64($0) } }

    /// The first byte of a partial response, and the size of the whole, if it says it (RFC 9110, section 14.4).
    var contentRange: (from: UInt64?, size: UInt64?) {
        guard let match = value("content-range")?.wholeMatch(of: /bytes +(?:([0-9]+)-[0-9]+|\*)\/([0-9]+|\*)/) else {
            return (nil, nil)
        }
        return (match.1.flatMap { UInt64($0) }, UInt64(match.2))
    }

    mutating func take(line: String) {
        if line.hasPrefix("HTTP/") {
            self = HTTPHead()
            status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        } else if let colon = line.firstIndex(of: ":"), fields.count < 256 {
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            fields.append((line[..<colon].lowercased(), String(value.reversed().drop { $0.isWhitespace }.reversed())))
        }
    }
}

/// Why a request brought no whole response.
struct TransferFailure: Error {
    let description: String
    /// Whether the same request may succeed later.
    let isTransient: Bool
    /// The server does not speak TLS there.
    var isWithoutTLS = false
    /// Nothing reached the server.
    var isUnreachable = false
    /// Seconds that the server asks to wait.
    var retryAfter: UInt64?
}

/// Makes requests by HTTP(S), one after the other, over connections that are kept. Redirects are followed, but not from HTTPS
/// to HTTP. Proxies are those that the environment names; this machine is reached without one.
///
/// Owns its libcurl handle; used by one thread.
final class HTTPClient {
    private static let redirectsMax = 10
    private static let connectSeconds = 30
    /// Without a byte for so long a transfer is given up.
    private static let stallSeconds = 30
    private static let headerBytesMax = 256 << 10
    /// Of the body of an answer that is no success.
    private static let errorBytesMax = 64 << 10

    private let handle: UnsafeMutableRawPointer
    /// Drives the handle, and keeps its connections.
    private let driver: UnsafeMutableRawPointer
    private let whileWaiting: () -> Void
    private let certificates: String?
    private let directHosts: String

    /// `whileWaiting` is called several times a second while a request goes on.
    init(environment: [String: String], whileWaiting: @escaping () -> Void) {
        self.whileWaiting = whileWaiting
        // They fail only without memory.
        guard curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK, let handle = curl_easy_init(),
            let driver = curl_multi_init()
        else {
            fatalError("libcurl cannot start: there is no memory")
        }
        self.handle = handle
        self.driver = driver
        certificates = environment["SSL_CERT_FILE"]
        let said = environment["no_proxy"] ?? environment["NO_PROXY"] ?? ""
        directHosts =
            said == "*" ? said : ([said] + ["localhost,127.0.0.0/8,::1"]).filter { !$0.isEmpty }.joined(separator: ",")
    }

    deinit {
        curl_easy_cleanup(handle)
        curl_multi_cleanup(driver)
    }

    /// The state of one request, which libcurl's callbacks get.
    private final class Exchange {
        let receive: (HTTPHead, UnsafeRawBufferPointer) throws -> Void
        var head = HTTPHead()
        var headerBytes = 0
        var failure: (any Error)?

        init(_ receive: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void) { self.receive = receive }

        func take(header line: UnsafeRawBufferPointer) -> Int {
            headerBytes += line.count
            guard headerBytes <= headerBytesMax else {
                failure = TransferFailure(description: "the server's answer has too long a header", isTransient: false)
                return -1
            }
            var text = String(decoding: line, as: UTF8.self).unicodeScalars
            while let last = text.last, last == "\r" || last == "\n" { text.removeLast() }
            head.take(line: String(text))
            return line.count
        }

        func take(body bytes: UnsafeRawBufferPointer) -> Int {
            do {
                try receive(head, bytes)
                return bytes.count
            } catch {
                failure = error
                return -1
            }
        }
    }

    /// The whole body of an answer, whatever its status. Throws `TransferFailure`, also for a longer body, or `PullFailure`
    /// once this process is to end.
    func text(_ request: HTTPRequest, bytesMax: Int) throws -> (head: HTTPHead, body: [UInt8]) {
        var body: [UInt8] = []
        let head = try perform(request) { _, bytes in
            guard body.count + bytes.count <= bytesMax else {
                throw TransferFailure(
                    description: "the answer is longer than \(ByteCount.text(UInt64(bytesMax)))", isTransient: false)
            }
            body += bytes
        }
        return (head, body)
    }

    /// Passes the body of a success (200, 206) on as it comes, and returns the body of another answer, as far as it is kept.
    func stream(
        _ request: HTTPRequest, _ receive: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
    ) throws -> (head: HTTPHead, body: [UInt8]) {
        var kept: [UInt8] = []
        let head = try perform(request) { head, bytes in
            if head.status == 200 || head.status == 206 { return try receive(head, bytes) }
            guard kept.count + bytes.count <= Self.errorBytesMax else {
                throw TransferFailure(description: "status \(head.status) with a long text", isTransient: false)
            }
            kept += bytes
        }
        return (head, kept)
    }

    private func perform(
        _ request: HTTPRequest, _ receive: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPHead {
        curl_easy_reset(handle)
        let exchange = Exchange(receive)
        var fields: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(fields) }
        for type in request.accept { fields = curl_slist_append(fields, "Accept: \(type)") }
        let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        defer { errorText.deallocate() }
        try configure(request)
        try set(hearth_curl_set_header_fields(handle, fields))
        try set(hearth_curl_set_error_text(handle, errorText))
        // Borrowed for the request, which ends below.
        try watch(Unmanaged.passUnretained(exchange).toOpaque())
        let result = withExtendedLifetime(exchange) { drive() }
        try Interruption.check()
        if let failure = exchange.failure { throw failure }
        guard result == CURLE_OK else { throw failure(result, String(cString: errorText), request.url) }
        return exchange.head
    }

    /// Returns when the request has ended, or this process is to end.
    private func drive() -> CURLcode {
        guard curl_multi_add_handle(driver, handle) == CURLM_OK else { return CURLE_FAILED_INIT }
        defer { curl_multi_remove_handle(driver, handle) }
        var running: CInt = 0
        while curl_multi_perform(driver, &running) == CURLM_OK, running > 0, !Interruption.isAsked {
            guard hearth_curl_wait(driver, Interruption.descriptor, 200) == CURLM_OK else { break }
            whileWaiting()
        }
        return hearth_curl_result(driver)
    }

    private func configure(_ request: HTTPRequest) throws {
        let isPlain = request.url.lowercased().hasPrefix("http:")
        try set(hearth_curl_set_text(handle, CURLOPT_URL, request.url))
        try set(hearth_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"))
        try set(hearth_curl_set_text(handle, CURLOPT_REDIR_PROTOCOLS_STR, isPlain ? "http,https" : "https"))
        try set(hearth_curl_set_number(handle, CURLOPT_FOLLOWLOCATION, 1))
        try set(hearth_curl_set_number(handle, CURLOPT_MAXREDIRS, Self.redirectsMax))
        try set(hearth_curl_set_number(handle, CURLOPT_NOSIGNAL, 1))
        try set(hearth_curl_set_number(handle, CURLOPT_CONNECTTIMEOUT, Self.connectSeconds))
        try set(hearth_curl_set_number(handle, CURLOPT_LOW_SPEED_LIMIT, 1))
        try set(hearth_curl_set_number(handle, CURLOPT_LOW_SPEED_TIME, Self.stallSeconds))
        try set(hearth_curl_set_number(handle, CURLOPT_BUFFERSIZE, 256 << 10))
        try set(hearth_curl_set_number(handle, CURLOPT_TCP_KEEPALIVE, 1))
        try set(hearth_curl_set_number(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1))
        try set(hearth_curl_set_text(handle, CURLOPT_USERAGENT, "hearth-pull"))
        try set(hearth_curl_set_text(handle, CURLOPT_NOPROXY, directHosts))
        if let certificates { try set(hearth_curl_set_text(handle, CURLOPT_CAINFO, certificates)) }
        if let range = request.range { try set(hearth_curl_set_text(handle, CURLOPT_RANGE, range)) }
        if let form = request.form { try set(hearth_curl_set_text(handle, CURLOPT_COPYPOSTFIELDS, form)) }
        switch request.authorization {
        case .none: break
        case .basic(let user, let password):
            try set(hearth_curl_set_number(handle, CURLOPT_HTTPAUTH, 1 << 0))  // CURLAUTH_BASIC
            try set(hearth_curl_set_text(handle, CURLOPT_USERNAME, user))
            try set(hearth_curl_set_text(handle, CURLOPT_PASSWORD, password))
        case .bearer(let token):
            try set(hearth_curl_set_number(handle, CURLOPT_HTTPAUTH, 1 << 6))  // CURLAUTH_BEARER
            try set(hearth_curl_set_text(handle, CURLOPT_XOAUTH2_BEARER, token))
        case .netrc: try set(hearth_curl_set_number(handle, CURLOPT_NETRC, Int(CURL_NETRC_OPTIONAL.rawValue)))
        }
    }

    private func watch(_ context: UnsafeMutableRawPointer) throws {
        try set(
            hearth_curl_on_header(
                handle,
                { bytes, size, count, context in
                    let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
                    return Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue().take(header: line)
                }, context))
        try set(
            hearth_curl_on_body(
                handle,
                { bytes, size, count, context in
                    let piece = UnsafeRawBufferPointer(start: bytes, count: size * count)
                    return Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue().take(body: piece)
                }, context))
    }

    /// An option that this libcurl does not take.
    private func set(_ result: CURLcode) throws {
        guard result == CURLE_OK else {
            throw TransferFailure(
                description: "libcurl refuses a setting (\(String(cString: curl_easy_strerror(result))))",
                isTransient: false)
        }
    }

    private func failure(_ result: CURLcode, _ text: String, _ url: String) -> TransferFailure {
        let words = text.isEmpty ? String(cString: curl_easy_strerror(result)) : text
        let host = HostName(ofAddress: url)?.text ?? url
        let permanent: [CURLcode] = [
            CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_TOO_MANY_REDIRECTS, CURLE_PEER_FAILED_VERIFICATION,
            CURLE_SSL_CACERT_BADFILE, CURLE_OUT_OF_MEMORY,
        ]
        let isDoubted = result == CURLE_PEER_FAILED_VERIFICATION
        let remedy = isDoubted ? "; name the file of the authority that signed it in SSL_CERT_FILE" : ""
        var failure = TransferFailure(
            description: "\(host): \(words)\(remedy)", isTransient: !permanent.contains { $0 == result })
        failure.isWithoutTLS = result == CURLE_SSL_CONNECT_ERROR
        failure.isUnreachable = [CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT]
            .contains {
                $0 == result
            }
        return failure
    }
}
