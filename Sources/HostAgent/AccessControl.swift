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

    private let file: TokenFile
    private let register: ConsumerRegister
    private let logger: Logger
    private var watch: FileWatch?

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
            if configuration.listen.contains(where: configuration.requiresToken), try file.read() == nil {
                logger.notice("nobody can call yet: make a token with 'hearth token create NAME --state \(state)'")
            }
            return (try AccessControl(file, logger: logger), first)
        } catch {
            throw HostError(error.description)
        }
    }

    private init(_ file: TokenFile, logger: Logger) throws(AccessError) {
        self.file = file
        self.logger = logger
        register = ConsumerRegister(TokenBook())
        watch = FileWatch([file.path], everyMilliseconds: AccessLimits.fileCheckMilliseconds) { [weak self] in
            self?.reload()
        }
        register.replace(try file.read() ?? TokenBook())
    }

    /// Who may call on one listener.
    func gate(requiresToken: Bool, clientSubjects: [String]) -> any CallGate {
        ListenerGate(register, requiresToken: requiresToken, clientSubjects: clientSubjects)
    }

    /// Takes over what the file says now. One that cannot be read changes nothing.
    func reload() {
        do throws(AccessError) {
            register.replace(try file.read() ?? TokenBook())
            logger.info("tokens read again: \(register.tokenCount)")
        } catch {
            logger.error("the tokens stay as they are: \(error)")
        }
    }

    func stop() {
        watch?.stop()
        watch = nil
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
