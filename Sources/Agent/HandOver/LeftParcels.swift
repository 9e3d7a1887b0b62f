package import EventLoop
internal import Glibc
internal import LinuxSystem
package import Logging

/// What an agent before this one has left that died. Its holder keeps all of it until it is told to let go, and gives it to the
/// next agent where this one dies sooner.
@IOLoop
package final class LeftParcels {
    /// How long its holder may take for its next parcel.
    private nonisolated static let answerMilliseconds: UInt64 = 10_000

    package nonisolated let parcels: [Parcel]
    private var holder: ParcelStream?

    private init(_ parcels: [Parcel], of holder: ParcelStream) {
        self.parcels = parcels
        self.holder = holder
    }

    /// What a holder keeps of an agent that died, whose state folder this was. Nil: nothing is held, be it that no holder runs
    /// or that its agent lives. A holder that has not seen yet that its agent has died sees it first.
    package static func find(state: String, logger: Logger) async -> LeftParcels? {
        let path = "\(state)/\(Holder.socketName)"
        let socket: ParcelSocket
        do throws(ParcelError) {
            socket = try ParcelSocket.connect(toPath: path)
        } catch {
            if case .system(let reason) = error, reason.code == ENOENT { return nil }
            if case .system(let reason) = error, reason.code == ECONNREFUSED {
                // A holder that has ended has left it behind.
                unlink(path)
                return nil
            }
            logger.error("what an agent before this one may have left cannot be had: \(error)")
            return nil
        }
        do throws(ParcelError) {
            return try await all(from: ParcelStream(socket))
        } catch {
            logger.error("what an agent before this one has left cannot be had: \(error)")
            return nil
        }
    }

    private static func all(from holder: ParcelStream) async throws(ParcelError) -> LeftParcels? {
        try await holder.send(Parcel(.hello, HolderHello(seconds: 0).bytes), withinMilliseconds: answerMilliseconds)
        guard let hello = try await holder.receive(withinMilliseconds: answerMilliseconds) else { throw .ended }
        guard hello.kind == .hello else { return nil }
        guard HolderHello(hello.bytes)?.isUnderstood == true else { throw .malformed("a holder of another version") }
        var parcels: [Parcel] = []
        while true {
            guard let parcel = try await holder.receive(withinMilliseconds: answerMilliseconds) else { throw .ended }
            if parcel.kind == .end { return LeftParcels(parcels, of: holder) }
            guard parcels.count < HeldLimits().survivorsMax else {
                throw .tooLarge("more parcels than are held")
            }
            parcels.append(parcel)
        }
    }

    /// Has its holder let go; returns once it has. One that does not answer is dead, or has waited for too long: nobody finds it
    /// any more where another holder has taken its name.
    package func letGo() async {
        guard let holder else { return }
        self.holder = nil
        guard (try? await holder.send(Parcel(.taken), withinMilliseconds: Self.answerMilliseconds)) != nil else {
            return
        }
        // Until it has let go, its ends of the backends' sockets are open.
        _ = try? await holder.receive(withinMilliseconds: Self.answerMilliseconds)
    }
}
