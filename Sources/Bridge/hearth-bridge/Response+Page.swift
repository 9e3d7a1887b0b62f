internal import HTTPTypes
internal import HostPage
internal import HummingbirdCore
internal import NIOCore

extension Response {
    /// A file of the page; 304 without its bytes for a browser that has them.
    static func page(_ file: PageFile, to request: Request) -> Response {
        var headers = HTTPFields()
        for field in PageFile.fields {
            if let name = HTTPField.Name(field.name) { headers[name] = field.value }
        }
        headers[.eTag] = file.entityTag
        if file == .document { headers[.vary] = "Accept" }
        guard !file.isHeld(request.headers[.ifNoneMatch]) else {
            return Response(status: .notModified, headers: headers)
        }
        headers[.contentType] = file.mediaType
        headers[.contentLength] = String(file.bytes.count)
        return Response(
            status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes)))
    }
}

extension Request {
    /// Whether who asks is shown pages: browsers say so, other clients take what comes.
    var takesPages: Bool { headers[.accept]?.lowercased().contains("text/html") ?? false }
}
