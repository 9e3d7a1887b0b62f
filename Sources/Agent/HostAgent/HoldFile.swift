internal import BackendSupervisor
internal import Glibc
internal import LinuxSystem
internal import Settings
internal import StrictJSON

/// The file that keeps the owner's hold for the next start, `hold.json` in the state folder: mode 0600, replaced as a
/// whole, absent while nothing is in force.
///
///     {"pause": "frozen", "draining": true}
struct HoldFile: Sendable {
    let path: String

    init(state: String) { path = state + "/hold.json" }

    /// Throws, with the remedy, for a file that is not understood: what its owner has asked for is unknown then.
    func read() throws(HostError) -> OwnerHold {
        do throws(JSONError) {
            return try Self.decoded(try JSONNode.parse(try bytes(), file: path), file: path)
        } catch {
            throw HostError("\(error); correct it, or remove it: then nothing is paused, and requests are taken")
        }
    }

    private func bytes() throws(JSONError) -> [UInt8] {
        do throws(LinuxError) {
            return try FileBytes.read(path, max: JSONLimits.fileBytesMax)
        } catch {
            if error.code == ENOENT { return Array("{}".utf8) }
            throw JSONError(file: path, error.description)
        }
    }

    static func decoded(_ node: JSONNode, file: String) throws(JSONError) -> OwnerHold {
        let reader = try JSONObjectReader(node, "the file", keys: ["pause", "draining"], file: file)
        var pause: OwnerHold.Pause?
        if let text = try reader.string("pause") {
            pause = OwnerHold.Pause(rawValue: text)
            let known = OwnerHold.Pause.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
            if pause == nil { throw reader.failure("pause", "must be \(known), not \"\(text.prefix(64))\"") }
        }
        return OwnerHold(pause: pause, isDraining: try reader.bool("draining") ?? false)
    }

    static func encoded(_ hold: OwnerHold) -> String {
        let members = [
            hold.pause.map { "\"pause\": \"\($0.rawValue)\"" }, hold.isDraining ? "\"draining\": true" : nil,
        ]
        return "{" + members.compactMap { $0 }.joined(separator: ", ") + "}\n"
    }

    /// Blocks for the disk.
    func write(_ hold: OwnerHold) throws(LinuxError) {
        guard hold.isEmpty else { return try FileBytes.replace(path, with: Array(Self.encoded(hold).utf8)) }
        guard unlink(path) == 0 || errno == ENOENT else { throw LinuxError.last("remove \(path)") }
    }
}
