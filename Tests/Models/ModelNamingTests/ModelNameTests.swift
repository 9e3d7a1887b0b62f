import Testing

@testable import ModelNaming

@Suite("ModelName")
struct ModelNameTests {
    @Test(
        "the names that people's files have",
        arguments: [
            ("SmolLM2-135M-Instruct.Q4_1", "smollm2-135m-instruct:q4_1"),
            ("smollm2-135m-instruct-q4_1", "smollm2-135m-instruct:q4_1"),
            ("Llama-3.2-1B-Instruct-Q4_K_M", "llama-3.2-1b-instruct:q4_k_m"),
            ("gemma-3-4b-it-UD-Q4_K_XL", "gemma-3-4b-it:ud-q4_k_xl"),
            ("gpt-oss-20b-mxfp4", "gpt-oss-20b:mxfp4"),
            ("mistral-7b-instruct-v0.2.Q5_K_S", "mistral-7b-instruct-v0.2:q5_k_s"),
            ("Qwen3-0.6B-IQ4_XS", "qwen3-0.6b:iq4_xs"), ("phi-4_F16", "phi-4:f16"), ("phi-4-BF16", "phi-4:bf16"),
            ("ggml-model-TQ2_0", "ggml-model:tq2_0"), ("tinyllama", "tinyllama"), ("Q4_0", "q4_0"),
            ("My Model (final)", "my-model--final-"), ("modèle-q8_0", "mod-le:q8_0"),
        ])
    func ids(stem: String, id: String) {
        #expect(ModelName(stem: stem).id == id)
        #expect(ModelName(stem: stem).part == nil)
    }

    @Test("a part of a model is told as one, and named as the whole")
    func parts() {
        let name = ModelName(stem: "Big-Q8_0-00002-of-00003")
        #expect(name.id == "big:q8_0")
        #expect(name.part == ModelName.Part(number: 2, count: 3))
    }
}
