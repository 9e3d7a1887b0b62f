import LlamaPlanning
import Testing

@Suite("LoadFailure")
struct LoadFailureTests {
    private func sentence(_ error: String, wanted: UInt64? = 100, file: UInt64 = 100) -> String {
        LoadFailure(firstError: error, wantedBytes: wanted, fileBytes: file).sentence
    }

    @Test("the first error is told, without the names of functions")
    func firstError() {
        #expect(
            sentence("llama_model_load: error loading model: missing tensor 'output.weight'\n")
                == "llama.cpp does not load the weights: missing tensor 'output.weight'")
        #expect(sentence("").contains("does not say why"))
    }

    @Test("a failed assertion is told without the folder that its source was built in")
    func assertion() {
        #expect(
            LoadFailure.plain("/home/x/llama.cpp/src/llama-model.cpp:1328: GGML_ASSERT(n_layer > 0) failed")
                == "llama-model.cpp:1328: GGML_ASSERT(n_layer > 0) failed")
    }

    @Test("what the owner can mend has a sentence of its own")
    func remedies() {
        #expect(sentence("x", wanted: 4_000, file: 1_999).contains("cut: 1999 of 4000 bytes"))
        #expect(
            sentence("llama_model_load: error loading model: unknown model architecture: 'mamba9'\n")
                .contains("architecture is \"mamba9\""))
        #expect(
            sentence("llama_model_load: error loading model: mmap failed: Operation not permitted").contains(
                "inference-cpu"))
        #expect(
            sentence("ggml_aligned_malloc: insufficient memory (attempted to allocate 360.00 MB)").contains(
                "memoryMebibytes"))
        #expect(sentence("std::bad_alloc").contains("memoryMebibytes"))
    }
}
