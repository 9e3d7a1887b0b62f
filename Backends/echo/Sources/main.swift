import BackendKit

Backend.run(EchoEngine())
