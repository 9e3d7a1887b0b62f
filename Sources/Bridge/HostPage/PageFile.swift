internal import BaseEncodings
internal import Cryptography

/// A file of the page that a host shows to browsers, from the folder `Files`; the executable has them all in it, because
/// its sandbox has no file.
package struct PageFile: Equatable, Sendable {
    /// The media type, for the field Content-Type.
    package let mediaType: String
    package let bytes: [UInt8]
    /// The entity tag (RFC 9110, section 8.8.3): other bytes have another one.
    package let entityTag: String

    private init(_ mediaType: String, _ bytes: [UInt8]) {
        self.mediaType = mediaType
        self.bytes = bytes
        let digest = bytes.withUnsafeBytes { SHA256.digest($0) }
        entityTag = "\"" + hexadecimal(digest.prefix(16)) + "\""
    }

    /// What a browser is shown first.
    package static let document = PageFile("text/html; charset=utf-8", PackageResources.index_html)

    /// The files that the document names, by their paths.
    private static let parts: [String: PageFile] = [
        "/page/page.css": PageFile("text/css; charset=utf-8", PackageResources.page_css),
        "/page/icon.svg": PageFile("image/svg+xml", PackageResources.icon_svg),
        "/page/main.js": script(PackageResources.main_js),
        "/page/elements.js": script(PackageResources.elements_js),
        "/page/markdown.js": script(PackageResources.markdown_js),
        "/page/responses.js": script(PackageResources.responses_js),
        "/page/conversations.js": script(PackageResources.conversations_js),
        "/page/chat.js": script(PackageResources.chat_js),
        "/page/answer.js": script(PackageResources.answer_js),
        "/page/host.js": script(PackageResources.host_js),
        "/page/keys.js": script(PackageResources.keys_js),
        "/page/owner.js": script(PackageResources.owner_js),
        "/page/plot.js": script(PackageResources.plot_js),
        "/page/rows.js": script(PackageResources.rows_js),
        "/page/turns.js": script(PackageResources.turns_js),
    ]

    private static func script(_ bytes: [UInt8]) -> PageFile { PageFile("text/javascript; charset=utf-8", bytes) }

    /// The file at a path other than that of the document; nil where there is none.
    package static func at(_ path: String) -> PageFile? { parts[path] }

    /// Whether a browser has these bytes: `ifNoneMatch` is its field If-None-Match (RFC 9110, section 13.1.2).
    package func isHeld(_ ifNoneMatch: String?) -> Bool {
        guard let ifNoneMatch else { return false }
        return ifNoneMatch.split(separator: ",").contains { tag in
            var tag = tag.drop { $0 == " " }
            while tag.last == " " { tag.removeLast() }
            if tag.hasPrefix("W/") { tag = tag.dropFirst(2) }
            return tag == entityTag || tag == "*"
        }
    }

    /// The fields that every file of the page is sent with. The page asks no other host for anything, runs no script but
    /// its own files, makes no element of a text, and is shown in no other page.
    package static let fields: [(name: String, value: String)] = [
        ("Cache-Control", "no-cache"),
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                + "require-trusted-types-for 'script'; trusted-types 'none'"
        ),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    ]
}
