import BackendKit
import Glibc

/// The adapters of the model: each that is applied adds bytes to what the tokens depend on.
struct EchoAdapters {
    /// The beginning of an adapter's file that counts.
    private static let fileBytesMax = 64

    private var known: [(adapter: LoadRequest.Adapter, content: [UInt8])] = []

    init(_ adapters: [LoadRequest.Adapter] = []) {
        known = adapters.map { adapter in
            lseek(adapter.descriptor, 0, SEEK_SET)
            let content = [UInt8](unsafeUninitializedCapacity: Self.fileBytesMax) { buffer, count in
                count = max(0, read(adapter.descriptor, buffer.baseAddress, buffer.count))
            }
            return (adapter, content)
        }
    }

    /// The bytes that the adapters of a request add; `chosen` nil: those that are applied by default.
    func variation(for chosen: [GenerateRequest.Adapter]?) throws(EngineFault) -> [UInt8] {
        if let unknown = chosen?.first(where: { name in !known.contains { $0.adapter.name == name.name } }) {
            let names = known.map(\.adapter.name).joined(separator: ", ")
            throw EngineFault(.invalidArgument, "there is no adapter '\(unknown.name)'; there are: \(names)")
        }
        return known.reduce(into: []) { bytes, entry in
            let choice = chosen?.first { $0.name == entry.adapter.name }
            guard chosen == nil ? entry.adapter.isDefault : choice != nil else { return }
            let scale = choice?.scale ?? entry.adapter.scale
            guard scale != 0 else { return }
            bytes += Array(entry.adapter.name.utf8) + [0]
            withUnsafeBytes(of: scale.bitPattern.littleEndian) { bytes += $0 }
            bytes += entry.content
        }
    }
}
