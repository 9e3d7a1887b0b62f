import BackendKit
import CLlama
import LlamaPlanning

/// The weights file and the library's errors.
extension LlamaModel {
    /// The first error that llama.cpp logged during its last operation; empty when it logged none.
    static var firstError: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Limits.errorBytesMax) { buffer in
            hearth_llama_first_error(buffer.baseAddress, buffer.count)
            return String(decoding: UnsafeRawBufferPointer(buffer).prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// Opens the weights behind descriptors, which it takes over: one, or all parts in order. Checks the files before
    /// llama.cpp does, whose errors for most files that are no models are of no help.
    static func open(_ descriptors: [Int32]) throws(EngineFault) {
        var parts: [WeightsPart] = []
        for (index, descriptor) in descriptors.enumerated() {
            do throws(EngineFault) {
                let file = try open(descriptor, part: index)
                parts.append(
                    WeightsPart(
                        count: Int(file.parts), number: Int(file.part), tensors: Int(clamping: file.tensors),
                        allTensors: Int(clamping: file.all_tensors)))
            } catch {
                guard descriptors.count > 1 else { throw error }
                throw EngineFault(error.code, "part \(index + 1) of \(descriptors.count): \(error.message)")
            }
        }
        if let flaw = WeightsPart.flaw(of: parts) { throw EngineFault(.badModel, flaw) }
    }

    /// Opens the files of adapters behind their descriptors, which it takes over, and checks them as those of weights.
    static func open(_ adapters: [LoadRequest.Adapter]) throws(EngineFault) {
        for (index, adapter) in adapters.enumerated() {
            do throws(EngineFault) {
                let file = try open(
                    adapter.descriptor, hearth_llama_open_adapter, { hearth_llama_inspect_adapter(index) })
                guard file.is_adapter else {
                    throw EngineFault(.badModel, "the weights are no adapter (general.type in their header)")
                }
            } catch {
                let sentence = WeightsFile.sentence(error.message, about: "the file of the adapter \"\(adapter.name)\"")
                throw EngineFault(error.code, sentence)
            }
        }
    }

    /// Opens the file of the draft model behind its descriptor, which it takes over, and checks it as that of the model.
    static func open(draft descriptor: Int32) throws(EngineFault) {
        do throws(EngineFault) {
            let file = try open(descriptor, hearth_llama_open_draft, hearth_llama_inspect_draft)
            guard !file.is_adapter else { throw EngineFault(.badModel, "the weights are a LoRA adapter, not a model") }
            guard file.parts == 1 else {
                throw EngineFault(
                    .badModel,
                    "the weights are one of \(file.parts) parts of a model; join them, with: llama-gguf-split --merge")
            }
        } catch {
            throw EngineFault(error.code, WeightsFile.sentence(error.message, about: "the file of the draft model"))
        }
    }

    private static func open(_ descriptor: Int32, part: Int) throws(EngineFault) -> hearth_llama_file_facts {
        var file = try open(descriptor, hearth_llama_open, { hearth_llama_inspect(part) })
        guard !file.is_adapter else {
            let architecture = withUnsafeBytes(of: &file.architecture) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            throw EngineFault(.badModel, WeightsFile.adapterFlaw(architecture: architecture))
        }
        return file
    }

    private static func open(
        _ descriptor: Int32, _ opened: (Int32, UnsafeMutablePointer<UInt8>?, Int) -> Int,
        _ inspected: () -> hearth_llama_file_facts
    ) throws(EngineFault) -> hearth_llama_file_facts {
        var first = [UInt8](repeating: 0, count: WeightsFile.firstBytesCount)
        let count = opened(descriptor, &first, first.count)
        let error = firstError
        guard error.isEmpty else { throw EngineFault(.badModel, error) }
        let file = inspected()
        if let flaw = WeightsFile.flaw(first: Array(first.prefix(count)), fileBytes: file.bytes) {
            throw EngineFault(.badModel, flaw)
        }
        guard file.has_header, file.bytes >= file.wanted_bytes else { throw EngineFault(.badModel, failure(file)) }
        return file
    }

    /// Why the weights do not load; `file`: the one whose header was read last, and is to blame.
    static func failure(_ file: hearth_llama_file_facts?) -> String {
        LoadFailure(
            firstError: firstError, wantedBytes: file.flatMap { $0.has_header ? $0.wanted_bytes : nil },
            fileBytes: file?.bytes ?? 0
        ).sentence
    }
}
