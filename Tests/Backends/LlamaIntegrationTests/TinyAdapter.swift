import Foundation
import SeededRandom
import TestPlaces

/// A LoRA adapter for the demo model, as a file that goes when this does: of rank 2, with random numbers, on the second
/// matrix of every feed-forward layer.
final class TinyAdapter {
    private let folder = TemporaryFolder()
    let path: String
    private static let (inputs, outputs, rank, layers) = (384, 128, 2, 4)

    /// - Parameters:
    ///   - architecture: what the file says that it is for.
    ///   - outputs: the rows of its results; the demo model's are 128.
    init(seed: UInt64, architecture: String = "llama", outputs: Int = outputs, kind: String = "adapter") throws {
        path = folder.file("adapter.gguf")
        var random = SeededRandom(seed: seed)
        var infos: [UInt8] = []
        var data: [UInt8] = []
        func add(_ name: String, _ columns: Int, _ rows: Int) {
            infos += ChangedModel.counted(name) + bytes(UInt32(2)) + bytes(UInt64(columns)) + bytes(UInt64(rows))
            // F32, at a multiple of 32 bytes, as all of these sizes are.
            infos += bytes(UInt32(0)) + bytes(UInt64(data.count))
            for _ in 0..<columns * rows { data += bytes(Float.random(in: -0.3...0.3, using: &random).bitPattern) }
        }
        for layer in 0..<Self.layers {
            add("blk.\(layer).ffn_down.weight.lora_a", Self.inputs, Self.rank)
            add("blk.\(layer).ffn_down.weight.lora_b", Self.rank, outputs)
        }
        var head: [UInt8] = Array("GGUF".utf8) + bytes(UInt32(3)) + bytes(UInt64(2 * Self.layers)) + bytes(UInt64(4))
        for (key, value) in [
            ("general.type", kind), ("general.architecture", architecture), ("adapter.type", "lora"),
        ] {
            head += ChangedModel.counted(key) + bytes(UInt32(8)) + ChangedModel.counted(value)
        }
        head += ChangedModel.counted("adapter.lora.alpha") + bytes(UInt32(6)) + bytes(Float(2).bitPattern)
        head += infos
        head += [UInt8](repeating: 0, count: (32 - head.count % 32) % 32)
        try Data(head + data).write(to: URL(filePath: path))
    }
}

private func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
