import BackendKit

Backend.run(LlamaEngine())
