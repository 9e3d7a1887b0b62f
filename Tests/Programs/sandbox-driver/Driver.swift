internal import BaseEncodings
internal import Glibc
internal import HandOver
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxAudit
internal import SandboxLaunch
internal import SandboxPolicy
internal import SeccompFilter

struct Usage: Error, CustomStringConvertible {
    let description: String
}

/// Writes a line, unbuffered.
func say(_ line: String) { say(Array((line + "\n").utf8)[...]) }

func say(_ bytes: ArraySlice<UInt8>) {
    let bytes = Array(bytes)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
}

/// What the command line asks for, and the doing of it.
struct Driver {
    private var command = ""
    private var count = 1
    private var launcherPath = ""
    private var ablationPath = ""
    private var acts: Set<String> = []
    private var policies = ""
    private var policy = "strict"
    private var tier = SandboxTier.full
    private var binds: [ReadOnlyBind] = []
    private var devices: [String] = []
    private var controllers: [String]?
    private var temporaryBytes: UInt64 = 0
    private var handOver: [String] = []
    private var memoryMebibytes: UInt64 = 256
    private var threads: UInt32 = 2
    private var executable = ""
    private var arguments: [String] = []

    init(_ words: [String]) throws {
        var rest = words[...]
        command = rest.popFirst() ?? ""
        if command == "hold" { count = Int(rest.popFirst() ?? "") ?? 0 }
        while let option = rest.first, option.hasPrefix("--") {
            rest.removeFirst()
            guard let value = rest.popFirst() else { throw Usage(description: "\(option) needs a value") }
            switch option {
            case "--launcher": launcherPath = value
            case "--ablation": ablationPath = value
            case "--acts": acts = Set(value.split(separator: ",").map(String.init))
            case "--policies": policies = value
            case "--policy": policy = value
            case "--tier": tier = SandboxTier(rawValue: value) ?? .full
            case "--bind": binds.append(Driver.bind(value))
            case "--executable-bind":
                binds.append(ReadOnlyBind(source: value, target: value, allowsExecution: true))
            case "--device": devices.append(value)
            case "--control-groups": controllers = value == "none" ? [] : value.split(separator: ",").map(String.init)
            case "--temporary": temporaryBytes = UInt64(value) ?? 0
            case "--hand-over": handOver.append(value)
            case "--memory": memoryMebibytes = UInt64(value) ?? 0
            case "--threads": threads = UInt32(value) ?? 1
            default: throw Usage(description: "unknown option \(option)")
            }
        }
        executable = rest.popFirst() ?? ""
        arguments = Array(rest)
    }

    /// A path, or "ROOT//REST": what the owner named, and what is asked for in it.
    private static func bind(_ value: String) -> ReadOnlyBind {
        let parts = value.split(separator: "//", maxSplits: 1)
        guard let root = parts.first.map(String.init), let within = parts.dropFirst().first else {
            return ReadOnlyBind(source: value, target: value)
        }
        let path = "\(root)/\(within)"
        return ReadOnlyBind(source: path, root: root, within: String(within), target: path)
    }

    func run() throws -> CInt {
        switch command {
        case "launch": return try follow(try launch(arguments))
        case "audit": return try audit()
        case "hold": return try hold()
        case "keep": return try keep()
        case "echo": return try echo()
        default: throw Usage(description: "unknown command '\(command)'")
        }
    }

    private var sandbox: Sandbox {
        Sandbox(
            launcherPath: launcherPath, policiesDirectory: policies, tier: tier,
            host: .find(claimingControlGroups: controllers != nil, controllers: controllers ?? []))
    }

    private func openExecutable() throws -> BackendExecutable {
        let slash = executable.lastIndex(of: "/") ?? executable.startIndex
        return try BackendExecutable.open(
            folder: String(executable[..<slash]), name: String(executable[executable.index(after: slash)...]))
    }

    private func plan(_ backend: borrowing BackendExecutable, _ arguments: [String]) throws -> LaunchPlan {
        var manifest = BackendManifest(executableName: backend.name)
        manifest.policy = policy
        manifest.memoryMebibytes = memoryMebibytes
        manifest.threads = threads
        var plan = try sandbox.plan(executable: backend, manifest: manifest, owner: OwnerLimits(threads: threads))
        plan.arguments += arguments
        plan.binds = binds
        plan.devices = devices
        plan.temporaryBytes = temporaryBytes
        if temporaryBytes > 0 { plan.limits.removeAll { $0.resource == .fileBytes } }
        return plan
    }

    private func launch(_ arguments: [String]) throws -> SandboxedProcess {
        let backend = try openExecutable()
        let plan = try plan(backend, arguments)
        let files = try handOver.map { try Descriptor.open($0, O_RDONLY).release() }
        defer { for file in files { close(file) } }
        return try sandbox.launch(
            executable: backend, plan: plan, handOver: files,
            groupLimits: ControlGroupLimits(
                memoryBytes: memoryMebibytes << 20, processes: UInt64(threads) + 10, processors: threads))
    }

    /// Prints what the backend writes until it ends.
    private func follow(_ launched: SandboxedProcess) throws -> CInt {
        try launched.log.setNonblocking(false)
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = try checked("read the log") { read(launched.log.raw, &bytes, bytes.count) }
            if count == 0 { break }
            say(bytes[..<count])
        }
        switch launched.process.waitForExit() {
        case .exited(let status): return status
        case .signalled(let signal):
            say("! the launcher was ended by signal \(signal)")
            return 1
        }
    }

    /// Tries acts outside, and inside each sandbox that is asked for. Prints a line for each act: its name, the outcome
    /// outside, and the outcome in each sandbox, separated by tabs.
    private func audit() throws -> CInt {
        let audit = try SandboxAudit(probePath: executable, folder: try writableFolder())
        let sandboxes = try arguments.map { try namedSandbox($0, audit) }
        for probe in audit.probes where acts.isEmpty || acts.contains(probe.name) {
            var outcomes = [try audit.tryOutside(probe)]
            for (sandbox, plan) in sandboxes {
                outcomes.append(try audit.tryInside(probe, plan: plan, sandbox: sandbox))
            }
            say(([probe.name] + outcomes.map(\.description)).joined(separator: "\t"))
        }
        return 0
    }

    /// TIER:POLICY, or only=LAYER+LAYER and without=LAYER+LAYER for the layers of tier full with the chosen policy.
    private func namedSandbox(_ text: String, _ audit: borrowing SandboxAudit) throws -> (Sandbox, LaunchPlan) {
        let (kind, value) = try halves(of: text, at: text.contains("=") ? "=" : ":")
        let isWhole = SandboxTier(rawValue: kind) != nil
        let sandbox = Sandbox(
            launcherPath: isWhole ? launcherPath : ablationPath, policiesDirectory: policies,
            tier: SandboxTier(rawValue: kind) ?? .full, host: .find(claimingControlGroups: false))
        var plan = try audit.plan(policy: isWhole ? value : policy, sandbox: sandbox)
        if kind == "only" { plan.layers = try layers(value) }
        if kind == "without" { plan.layers.subtract(try layers(value)) }
        plan.temporaryBytes = temporaryBytes
        if temporaryBytes > 0 { plan.limits.removeAll { $0.resource == .fileBytes } }
        return (sandbox, plan)
    }

    private func halves(of text: String, at mark: Character) throws -> (String, String) {
        guard let place = text.firstIndex(of: mark) else { throw Usage(description: "'\(text)' is no sandbox") }
        return (String(text[..<place]), String(text[text.index(after: place)...]))
    }

    private func layers(_ names: String) throws -> SandboxLayers {
        var layers: SandboxLayers = []
        for name in names.split(separator: "+") {
            let found = (0..<32).map { SandboxLayers(rawValue: 1 << $0) }.first { $0.names == [String(name)] }
            guard let found else { throw Usage(description: "unknown layer '\(name)'") }
            layers.insert(found)
        }
        return layers
    }

    /// A folder of its own beside the executable, in the one that the tests let this user write to.
    private func writableFolder() throws -> String {
        let path =
            "\(executable[..<(executable.lastIndex(of: "/") ?? executable.startIndex)])/writable/audit-\(getpid())"
        try checked("make \(path)") { mkdir(path, 0o700) }
        return path
    }

    private func hold() throws -> CInt {
        var held: [CInt] = []
        for _ in 0..<count {
            let launched = try launch(arguments)
            try launched.log.setNonblocking(false)
            // Kept open by number: the process is killed anyway.
            held.append(try launched.log.duplicate().release())
            holdForever(launched)
        }
        var byte: UInt8 = 0
        for log in held { _ = read(log, &byte, 1) }
        say("held")
        while true { pause() }
    }

    private func holdForever(_ launched: SandboxedProcess) {
        let box = UnsafeMutablePointer<SandboxedProcess>.allocate(capacity: 1)
        box.initialize(to: launched)
    }

    /// Plays the agent as its input says, until the keeper is gone.
    private func keep() throws -> CInt {
        let launched = try launch(arguments)
        var conversation = KeeperConversation()
        var input: [UInt8] = []
        var inputIsOpen = true
        while true {
            let ready = try Poll.waitForAny(
                of: [(launched.keeper.raw, .readable), (inputIsOpen ? STDIN_FILENO : -1, .readable)], nanoseconds: nil)
            if !ready[0].isEmpty {
                guard case .received(let datagram) = try launched.hear() else { break }
                say(words(of: try conversation.hear(datagram)))
            }
            if ready[1].isEmpty { continue }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = try checked("read the input") { read(STDIN_FILENO, &bytes, bytes.count) }
            inputIsOpen = count > 0
            input += bytes[..<count]
            while let end = input.firstIndex(of: UInt8(ascii: "\n")) {
                try obey(String(decoding: input[..<end], as: UTF8.self), launched, &conversation)
                input.removeSubrange(...end)
            }
        }
        say("gone")
        return LauncherStatus.of(launched.process.waitForExit())
    }

    private func obey(_ line: String, _ launched: SandboxedProcess, _ talk: inout KeeperConversation) throws {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        switch words[0] {
        case "freeze": if let datagram = talk.ask(.freeze) { _ = launched.tell(datagram) }
        case "thaw": if let datagram = talk.ask(.thaw) { _ = launched.tell(datagram) }
        case "send":
            guard let bytes = fromHexadecimal((words.last ?? "").utf8) else {
                throw Usage(description: "'\(line)' sends no hexadecimal digits")
            }
            _ = launched.tell(bytes)
        case "echo":
            try launched.socket.setNonblocking(false)
            try launched.socket.writeAll(Array((words.last ?? "").utf8))
            var bytes = [UInt8](repeating: 0, count: 256)
            let count = try checked("read the socket") { read(launched.socket.raw, &bytes, bytes.count) }
            say("echoed " + String(decoding: bytes[..<count], as: UTF8.self))
        case "survive":
            guard words.count == 4, let seconds = UInt32(words[1]) else { throw Usage(description: "'\(line)'") }
            try giveToHolder(launched, seconds: seconds, program: words[2], folder: words[3])
            say("kept")
        case "kill": launched.process.kill()
        default: throw Usage(description: "'\(line)' is nothing to do")
        }
    }

    /// Gives a holder what the agent has of a backend, as `Holder` does, and keeps the socket to it open by number.
    private func giveToHolder(
        _ launched: SandboxedProcess, seconds: UInt32, program: String, folder: String
    ) throws {
        let (here, there) = try ParcelSocket.pair()
        let listener = try ParcelListener(atPath: "\(folder)/\(Holder.socketName)")
        let nothing = try Descriptor.open("/dev/null", O_RDWR)
        _ = try ProcessSpawn.spawn(
            program, arguments: ["hearth-holder"], environment: [],
            descriptors: [nothing.raw, nothing.raw, nothing.raw, there.raw, listener.raw])
        var ends: [CInt] = []
        for raw in [launched.process.raw, launched.socket.raw, launched.keeper.raw, launched.log.raw] {
            ends.append(try checked("duplicate a descriptor") { fcntl(raw, F_DUPFD_CLOEXEC, 3) })
        }
        try here.send(Parcel(.hello, HolderHello(seconds: seconds).bytes), withinMilliseconds: 10_000)
        try here.send(Parcel(.backend, key: 1, owning: ends), withinMilliseconds: 10_000)
        _ = try checked("keep a socket") { fcntl(here.raw, F_DUPFD_CLOEXEC, 3) }
    }

    private func words(of report: KeeperReport) -> String {
        switch report {
        case .started: "started"
        case .failed(let reason, let isTransient): "failed\(isTransient ? " for the moment" : ""): \(reason)"
        case .supervised(let call): "denied \(call.call.number)"
        case .frozen: "frozen"
        case .thawed: "thawed"
        // Every process had some memory.
        case .ended(_, let use) where use.memoryBytes == 0: "ended with no memory"
        case .ended(.exited(let code), _): "exited \(code)"
        case .ended(.signalled(let signal), _): "killed \(signal)"
        }
    }

    private func echo() throws -> CInt {
        let launched = try launch(["echo"])
        try launched.socket.setNonblocking(false)
        let line = Array("over the socket\n".utf8)
        try launched.socket.writeAll(line)
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = try checked("read the socket") { read(launched.socket.raw, &bytes, bytes.count) }
        say(bytes[..<count])
        shutdown(launched.socket.raw, CInt(SHUT_WR))
        let closed = try checked("read the socket") { read(launched.socket.raw, &bytes, bytes.count) }
        say(closed == 0 ? "closed" : "more")
        return try follow(launched)
    }
}
