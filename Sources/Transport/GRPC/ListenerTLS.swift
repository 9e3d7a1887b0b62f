internal import EventLoop
internal import TLSSession

/// The TLS context for new connections of one listener; replaced when its files are read again.
@IOLoop
final class ListenerTLS {
    let files: ServerTLS
    var context: TLSContext

    init(_ files: ServerTLS) throws(TLSError) {
        self.files = files
        context = try TLSContext(server: files)
    }
}
