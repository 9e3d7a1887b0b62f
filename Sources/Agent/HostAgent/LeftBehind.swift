internal import EventLoop
internal import HandOver
internal import Logging
package import Settings

/// What an agent has left that died, in the hands of its holder.
package enum LeftBehind {
    /// Ends it, and returns how many backends and turns there were; nil: there was nothing.
    package static func end(state: String?, environment: [String: String]) async throws(HostError) -> Int? {
        let folder = try StateFolder.asked(state, environment: environment)
        let left = await LeftParcels.find(state: folder, logger: Logger(label: "hearth"))
        await left?.letGo()
        return left?.parcels.count
    }
}
