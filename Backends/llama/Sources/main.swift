import BackendKit

LlamaEngine.begin()
Backend.run(LlamaEngine())
