internal import ConsumerAccess
internal import EventLoop
internal import Foundation
internal import GRPC
internal import InferenceService
internal import LinuxSystem
internal import Logging
internal import Settings

/// The keys of an agent: reads them from its state folder, follows their file, and checks them for its listeners. On
/// the loop.
@IOLoop
final class AccessControl {
    /// The name of the key that the first start makes.
    static let firstKeyName = "default"

    /// The keys in force.
    var book: KeyBook { register.book }

    private let file: KeyFile
    let register: ConsumerRegister
    private let logger: Logger
    private let watch: FileWatch
    private let reading: FileReading<Result<Change, AccessError>>
    /// The error of the last reading, which is reported once.
    private var failure: AccessError?
    private var isStopped = false
    /// Changes of the file that are not in force yet, each with the readings to wait for.
    private var changeWaiters: [(readings: Int, CheckedContinuation<Void, Never>)] = []

    /// Reads the keys. If an address asks for keys and there is no file of them yet, makes and returns the first one,
    /// unless it could only be shown in a journal. An owner who revokes it is not given another.
    static func prepared(
        _ configuration: HostConfiguration, state: String, environment: [String: String], logger: Logger
    ) throws(HostError) -> (AccessControl, first: KeySecret?) {
        let file = KeyFile(folder: state)
        var first: KeySecret?
        let access: AccessControl
        do throws(AccessError) {
            if configuration.listen.contains(where: configuration.requiresKey),
                !SystemJournal.receivesStandardOutput(environment: environment)
            {
                first = try file.createFirst { (book) throws(AccessError) in
                    let secret = KeySecret.random()
                    try book.create(
                        firstKeyName, secret: secret, limits: KeyLimits(), now: Date(), lifetimeSeconds: nil)
                    return secret
                }
            }
            let watch = FileWatch(file.paths, everyMilliseconds: AccessLimits.inForce.fileCheckMilliseconds)
            let book = try file.read()
            access = AccessControl(file, book ?? KeyBook(), watch, logger: logger)
        } catch {
            throw HostError(error.description)
        }
        access.warnIfNobodyCanCall(configuration, state: state)
        if let address = try configuration.httpAddress() { try access.demandKey(forHTTP: address, state: state) }
        return (access, first)
    }

    /// Throws for an address that other machines can reach while there is no key.
    func demandKey(forHTTP address: SocketAddress, state: String) throws(HostError) {
        guard address.isLocal || !book.keys.isEmpty else {
            throw HostError(
                "http \(address) can be reached by other machines, and there is no key to call with: make one with "
                    + "'hearth key create NAME --state \(state)', or serve HTTP on 127.0.0.1 or [::1]")
        }
    }

    func warnIfNobodyCanCall(_ configuration: HostConfiguration, state: String) {
        if configuration.listen.contains(where: configuration.requiresKey), !book.keys.contains(where: { !$0.isOwner })
        {
            logger.notice("nobody can call yet: make a key with 'hearth key create NAME --state \(state)'")
        }
    }

    /// `watch` was made before the book was read.
    private init(_ file: KeyFile, _ book: KeyBook, _ watch: FileWatch, logger: Logger) {
        self.file = file
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

    /// A book, and the keys that have changed since the one before.
    private struct Change: Sendable {
        let book: KeyBook
        let changes: [SecretDigest]
    }

    /// Compares every key with the book before, which takes too long for the loop.
    nonisolated private static func read(_ file: KeyFile, _ before: KeyBook) -> Result<Change, AccessError> {
        do throws(AccessError) {
            let book = try file.read() ?? KeyBook()
            return .success(Change(book: book, changes: before.changes(in: book)))
        } catch {
            return .failure(error)
        }
    }

    /// The gate that decides who may call on one listener.
    func gate(
        requiresKey: Bool, ownersService: String? = nil, clientSubjects: [String] = []
    ) -> ListenerGate {
        ListenerGate(
            register, requiresKey: requiresKey, ownersService: ownersService, clientSubjects: clientSubjects)
    }

    /// Admits the calls that another agent passes on to this service.
    func gateOfPassedCalls(of inference: InferenceService) -> any CallGate { inference.gateOfPassedCalls(register) }

    /// Takes over the present content of the file, once it is read. A file that cannot be read changes nothing.
    func reload() { reading.begin() }

    /// The same, and returns once that is done.
    func reloaded() async {
        guard !isStopped else { return }
        await withCheckedContinuation { continuation in
            // A reading under way may have begun before.
            changeWaiters.append((reading.isReading ? 2 : 1, continuation))
            reload()
        }
    }

    /// Changes the file of keys, and returns once that is in force. Throws when it cannot be changed so.
    func change(
        _ change: @escaping @Sendable (inout KeyBook) throws(AccessError) -> Void
    ) async throws(AccessError) {
        try await Self.change(file, change).get()
        await reloaded()
    }

    /// On a thread of its own, because another process may hold the file, and a disk may hang.
    private static func change(
        _ file: KeyFile, _ change: @escaping @Sendable (inout KeyBook) throws(AccessError) -> Void
    ) async -> Result<Void, AccessError> {
        await withCheckedContinuation { continuation in
            do throws(LinuxError) {
                try DetachedThread.run {
                    continuation.resume(returning: Result { () throws(AccessError) in try file.change(change) })
                }
            } catch {
                continuation.resume(returning: .failure(AccessError("\(error)", isTransient: true)))
            }
        }
    }

    /// Answers those whose changes were read by now.
    private func wasRead() {
        for index in changeWaiters.indices { changeWaiters[index].readings -= 1 }
        let inForce = changeWaiters.filter { $0.readings <= 0 }
        changeWaiters.removeAll { $0.readings <= 0 }
        for waiter in inForce { waiter.1.resume() }
    }

    private func take(_ result: Result<Change, AccessError>) {
        switch result {
        case .success(let change):
            register.replace(change.book, changes: change.changes)
            failure = nil
            logger.info("keys read again: \(change.book.keys.count)")
        case .failure(let error):
            // A revoked key must not stay valid because descriptors had run out for a moment.
            if error.isTransient { watch.forget() }
            if failure != error { logger.error("the keys stay as they are: \(error)") }
            failure = error
        }
        wasRead()
    }

    func stop() {
        isStopped = true
        watch.stop()
        reading.stop()
        for waiter in changeWaiters { waiter.1.resume() }
        changeWaiters.removeAll()
    }
}
