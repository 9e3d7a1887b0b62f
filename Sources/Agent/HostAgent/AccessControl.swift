internal import ConsumerAccess
internal import EventLoop
internal import Foundation
internal import GRPC
internal import LinuxSystem
internal import Logging

/// The tokens of an agent: read from its state folder, followed while it runs, asked for by its listeners. On the loop.
@IOLoop
final class AccessControl {
    /// What the first start calls the token that it makes.
    static let firstTokenName = "default"

    private let register: ConsumerRegister
    private let logger: Logger
    private let watch: FileWatch
    private let reading: FileReading<Result<Change, AccessError>>
    /// What the last reading failed with, which is told once.
    private var failure: AccessError?

    /// Reads the tokens; makes the first one, which is returned, where an address asks for tokens and there is no file of
    /// them yet, unless it could only be shown in a journal. Whoever revokes it is not given another.
    static func prepared(
        _ configuration: HostConfiguration, state: String, environment: [String: String], logger: Logger
    ) throws(HostError) -> (AccessControl, first: TokenSecret?) {
        let file = TokenFile(folder: state)
        var first: TokenSecret?
        do throws(AccessError) {
            if configuration.listen.contains(where: configuration.requiresToken),
                !SystemJournal.receivesStandardOutput(environment: environment)
            {
                first = try file.createFirst { (book) throws(AccessError) in
                    let secret = TokenSecret.random()
                    try book.create(
                        firstTokenName, secret: secret, limits: TokenLimits(), now: Date(), lifetimeSeconds: nil)
                    return secret
                }
            }
            let watch = FileWatch([file.path], everyMilliseconds: AccessLimits.fileCheckMilliseconds)
            let book = try file.read()
            if configuration.listen.contains(where: configuration.requiresToken), book == nil {
                logger.notice("nobody can call yet: make a token with 'hearth token create NAME --state \(state)'")
            }
            return (AccessControl(file, book ?? TokenBook(), watch, logger: logger), first)
        } catch {
            throw HostError(error.description)
        }
    }

    /// `watch` was made before the book was read.
    private init(_ file: TokenFile, _ book: TokenBook, _ watch: FileWatch, logger: Logger) {
        self.watch = watch
        self.logger = logger
        let register = ConsumerRegister(book)
        self.register = register
        reading = FileReading {
            let inForce = register.book
            return { AccessControl.read(file, inForce) }
        }
        reading.done = { [weak self] in self?.take($0) }
        watch.changed = { [weak self] in self?.reload() }
    }

    /// A book, and what is not any more as it was in the one before.
    private struct Change: Sendable {
        let book: TokenBook
        let changes: [SecretDigest]
    }

    /// Looks at every token, twice, and so is not done on the loop.
    nonisolated private static func read(_ file: TokenFile, _ before: TokenBook) -> Result<Change, AccessError> {
        do throws(AccessError) {
            let book = try file.read() ?? TokenBook()
            return .success(Change(book: book, changes: before.changes(in: book)))
        } catch {
            return .failure(error)
        }
    }

    /// Who may call on one listener.
    func gate(requiresToken: Bool, clientSubjects: [String]) -> any CallGate {
        ListenerGate(register, requiresToken: requiresToken, clientSubjects: clientSubjects)
    }

    /// Takes over what the file says now, once it is read. One that cannot be read changes nothing.
    func reload() { reading.begin() }

    private func take(_ result: Result<Change, AccessError>) {
        switch result {
        case .success(let change):
            register.replace(change.book, changes: change.changes)
            failure = nil
            logger.info("tokens read again: \(change.book.tokens.count)")
        case .failure(let error):
            // Whoever was revoked must not stay because descriptors had run out for a moment.
            if error.isTransient { watch.forget() }
            if failure != error { logger.error("the tokens stay as they are: \(error)") }
            failure = error
        }
    }

    func stop() {
        watch.stop()
        reading.stop()
    }
}

extension SocketAddress {
    /// Itself, or where a wildcard is listened on, an address of this machine that others can connect to.
    var forConsumers: SocketAddress {
        guard case .internet("0.0.0.0", let port) = self else {
            guard case .internet("::", let port) = self else { return self }
            return .internet(host: NetworkInterfaces.reachableHost() ?? "::1", port: port)
        }
        return .internet(host: NetworkInterfaces.reachableHost() ?? "127.0.0.1", port: port)
    }
}
