// swift-tools-version: 6.1
import PackageDescription

// The llama.cpp backend is built only if its static libraries are there: `Scripts/build-llama` makes them, and the
// other scripts pass their folder on in this variable. Without it everything else builds and tests.
let llamaPrefix = Context.environment["HEARTH_LLAMA_PREFIX"].flatMap { $0.isEmpty ? nil : $0 }

// The bridge is what needs SwiftNIO; "0" leaves it out where it is not asked for, because SwiftNIO takes minutes to build.
let hasBridge = Context.environment["HEARTH_BRIDGE"] != "0"

// CI sets this; during development warnings are allowed.
let warningsAsErrors = Context.environment["HEARTH_WARNINGS_AS_ERRORS"] == "1"

let swiftSettings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (warningsAsErrors ? [.unsafeFlags(["-warnings-as-errors"])] : [])

// A backend and the launcher must start in an empty root: no dynamic loader, no shared library.
let staticExecutable: [LinkerSetting] = [.unsafeFlags(["-static-executable"])]

// The libraries of Foundation, which a static executable must name (its module names shared libraries only).
let foundationLibraries: [LinkerSetting] = [
    "Foundation", "FoundationInternationalization", "FoundationEssentials", "CoreFoundation", "_FoundationICU",
    "_FoundationCShims", "_FoundationCollections", "swiftSynchronization", "stdc++", "m",
].map { .linkedLibrary($0) }

let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// The targets on the path of a token, which Docs/decisions/0011-what-a-token-costs.md describes.
let onTokensWay: Set = ["BackendIPC", "BackendSupervisor", "EventLoop", "GRPC", "HTTP2Connection", "InferenceService"]

/// Used in release builds only; tests run in debug builds.
let uncheckedExclusivity: [SwiftSetting] = [
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

/// A library target of this package, in `Sources/PART`. The targets below are in the order of their layers: a target
/// imports only those above it.
func library(_ name: String, in part: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(part)/\(name)",
        swiftSettings: swiftSettings + (onTokensWay.contains(name) ? uncheckedExclusivity : []))
}

/// A C library of the system, which one target of this package imports.
func system(_ name: String, in part: String, pkgConfig: String, package: String) -> Target {
    .systemLibrary(
        name: name, path: "Sources/\(part)/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

/// A program that a person or the agent starts.
func command(
    _ name: String, in part: String, _ dependencies: [Target.Dependency] = [], linkerSettings: [LinkerSetting] = []
) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Sources/\(part)/\(name)", swiftSettings: swiftSettings,
        linkerSettings: linkerSettings)
}

/// The tests of a target; those that start processes are called integration tests.
func tests(_ name: String, of part: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestPlaces"], path: "Tests/\(part)/\(name)",
        swiftSettings: swiftSettings)
}

/// Code that several test targets share.
func support(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Tests/Support/\(name)", swiftSettings: swiftSettings)
}

/// A program that tests start, or a part of one.
func testProgram(
    _ name: String, _ dependencies: [Target.Dependency] = [], linkerSettings: [LinkerSetting] = []
) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Tests/Programs/\(name)", swiftSettings: swiftSettings,
        linkerSettings: linkerSettings)
}

var targets: [Target] = [
    // The kernel's interface, and the foundations of every part.
    .target(name: "CLinux", path: "Sources/System/CLinux"),
    library("LinuxSystem", in: "System", ["CLinux"]),
    library("BaseEncodings", in: "System"),
    system("CCrypto", in: "System", pkgConfig: "libcrypto", package: "libssl-dev"),
    library("Cryptography", in: "System", ["CCrypto"]),
    library("LimitDeclaration", in: "System"),
    library("EventLoop", in: "System", ["LimitDeclaration", "LinuxSystem"]),
    library("TerminalText", in: "System"),
    library("ByteBuffer", in: "System"),

    // Formats of files and of messages.
    library("WireFormat", in: "Messages", ["ByteBuffer"]),
    library("StrictJSON", in: "Messages", ["LinuxSystem"]),
    library("OutputGrammar", in: "Messages", ["StrictJSON"]),
    library("InferenceMessages", in: "Messages", [protobuf]),
    library("GRPCMessages", in: "Messages", [protobuf]),

    // gRPC, from the socket up: one owner for each C library.
    system("CNghttp2", in: "Transport", pkgConfig: "libnghttp2", package: "libnghttp2-dev"),
    system("COpenSSL", in: "Transport", pkgConfig: "openssl", package: "libssl-dev"),
    system("CZlib", in: "Transport", pkgConfig: "zlib", package: "zlib1g-dev"),
    library("TLSSession", in: "Transport", ["BaseEncodings", "COpenSSL", "Cryptography", "LinuxSystem"]),
    library("GzipCodec", in: "Transport", ["CZlib"]),
    library(
        "HTTP2Connection", in: "Transport",
        ["ByteBuffer", "CNghttp2", "EventLoop", "LimitDeclaration", "LinuxSystem", "TLSSession"]),
    library(
        "GRPC", in: "Transport",
        [
            "BaseEncodings", "ByteBuffer", "Cryptography", "EventLoop", "GRPCMessages", "GzipCodec", "HTTP2Connection",
            "LimitDeclaration", "LinuxSystem", "TLSSession", protobuf,
        ]),

    // Models on their way: only hearth-pull speaks to registries.
    library("ModelNaming", in: "Models"),
    library("ModelPull", in: "Models", ["BaseEncodings", "LinuxSystem", "ModelNaming", "StrictJSON", "TerminalText"]),
    system("CCurl", in: "Models", pkgConfig: "libcurl", package: "libcurl4-openssl-dev"),
    library(
        "ModelDownload", in: "Models",
        ["BaseEncodings", "CCurl", "Cryptography", "LinuxSystem", "ModelNaming", "ModelPull", "StrictJSON"]),
    command("hearth-pull", in: "Models", ["LinuxSystem", "ModelDownload", "ModelPull"]),

    // The sandbox: from a policy to a plan, the launcher that applies it, and the code that starts the launcher.
    system("CSeccomp", in: "Sandbox", pkgConfig: "libseccomp", package: "libseccomp-dev"),
    library("SeccompFilter", in: "Sandbox"),
    library("LaunchPlan", in: "Sandbox", ["LinuxSystem", "SeccompFilter"]),
    library("LaunchSequence", in: "Sandbox", ["LaunchPlan", "LinuxSystem", "SeccompFilter"]),
    command("hearth-sandbox", in: "Sandbox", ["LaunchPlan", "LaunchSequence"], linkerSettings: staticExecutable),
    library(
        "SandboxPolicy", in: "Sandbox",
        ["BaseEncodings", "CSeccomp", "LaunchPlan", "LinuxSystem", "SeccompFilter", "StrictJSON"]),
    library("PolicyExplanation", in: "Sandbox", ["LaunchPlan", "SandboxPolicy", "SeccompFilter", "StrictJSON"]),
    library(
        "SandboxLaunch", in: "Sandbox",
        ["BaseEncodings", "Cryptography", "LaunchPlan", "LinuxSystem", "SandboxPolicy", "StrictJSON"]),
    // Attacks on the sandbox, for the tests and for `hearth doctor`; the hostile backend of both is installed.
    library(
        "SandboxAudit", in: "Sandbox",
        ["LaunchPlan", "LinuxSystem", "SandboxLaunch", "SandboxPolicy", "SeccompFilter"]),
    .executableTarget(
        name: "sandbox-probe", path: "Sources/Sandbox/sandbox-probe", linkerSettings: staticExecutable),

    // What passes from one agent to the next, and what outlives an agent that died.
    library("HandOver", in: "Agent", ["EventLoop", "LaunchPlan", "LimitDeclaration", "LinuxSystem", logging]),
    command(
        "hearth-holder", in: "Agent", ["HandOver", "LinuxSystem"],
        linkerSettings: staticExecutable + [.linkedLibrary("swiftSynchronization")]),

    // Backends: their contract, for both ends, and their lifecycle.
    library("BackendIPC", in: "Backends", ["ByteBuffer", "LinuxSystem", "StrictJSON", "WireFormat"]),
    library("BackendKit", in: "Backends", ["BackendIPC", "ByteBuffer", "LinuxSystem", "WireFormat"]),
    // The agent's end of one backend's socket, without an agent: for the check of backends, and for their tests.
    library("BackendDriver", in: "Backends", ["BackendIPC", "ByteBuffer", "LinuxSystem", "WireFormat"]),
    library(
        "ContractCheck", in: "Backends",
        ["BackendDriver", "BackendIPC", "InferenceMessages", "LinuxSystem", protobuf]),
    library(
        "BackendSupervisor", in: "Backends",
        [
            "BackendIPC", "BaseEncodings", "ByteBuffer", "Cryptography", "EventLoop", "InferenceMessages", "LaunchPlan",
            "LimitDeclaration", "LinuxSystem", "ModelNaming", "SandboxLaunch", "SandboxPolicy", "SeccompFilter",
            "StrictJSON", "TerminalText", "WireFormat", logging, protobuf,
        ]),

    // The services, and the access to them.
    library(
        "GRPCServices", in: "Services",
        ["BaseEncodings", "EventLoop", "GRPC", "GRPCMessages", "LimitDeclaration", protobuf]),
    library(
        "ConsumerAccess", in: "Services",
        ["BaseEncodings", "Cryptography", "EventLoop", "GRPC", "LimitDeclaration", "LinuxSystem", "TLSSession"]),
    library(
        "TraceExport", in: "Services",
        [
            "Cryptography", "EventLoop", "GRPC", "LimitDeclaration", "LinuxSystem", "TerminalText", "WireFormat",
            logging,
        ]),
    library(
        "InferenceService", in: "Services",
        [
            "BackendIPC", "BackendSupervisor", "BaseEncodings", "ConsumerAccess", "Cryptography", "EventLoop", "GRPC",
            "HTTP2Connection", "InferenceMessages", "LimitDeclaration", "LinuxSystem", "OutputGrammar",
            "SandboxPolicy", "StrictJSON", "TraceExport", "WireFormat", logging, protobuf,
        ]),
    library(
        "AdminService", in: "Services",
        [
            "BackendIPC", "BackendSupervisor", "BaseEncodings", "ConsumerAccess", "EventLoop", "GRPC",
            "InferenceMessages", "InferenceService", "LaunchPlan", "LimitDeclaration", "LinuxSystem", "ModelPull",
            "PolicyExplanation", "SandboxPolicy", "SeccompFilter", "TerminalText", "TraceExport", protobuf,
        ]),

    // The door for HTTP: other protocols in the terms of hearth.v1.
    library(
        "HTTPProtocols", in: "Bridge",
        [
            "BaseEncodings", "Cryptography", "GRPC", "InferenceMessages", "LinuxSystem", "StrictJSON", "WireFormat",
            protobuf,
        ]),

    // The agent, and the commands that a person runs.
    library("Settings", in: "Agent", ["LinuxSystem", "StrictJSON"]),
    library("Installation", in: "Agent", ["BaseEncodings", "LinuxSystem", "Settings"]),
    library(
        "HostAgent", in: "Agent",
        [
            "AdminService", "BackendSupervisor", "BaseEncodings", "ConsumerAccess", "EventLoop", "GRPC", "GRPCServices",
            "HTTP2Connection", "HTTPProtocols", "HandOver", "InferenceMessages", "InferenceService", "Installation",
            "LaunchPlan", "LimitDeclaration", "LinuxSystem", "SandboxLaunch", "SandboxPolicy", "Settings", "StrictJSON",
            "TLSSession", "TerminalText", "TraceExport", logging, protobuf,
        ]),
    // The parts of the owner's commands that need no agent.
    library(
        "OwnerTools", in: "Agent",
        [
            "BackendDriver", "BackendSupervisor", "ContractCheck", "InferenceMessages", "Installation", "LaunchPlan",
            "LinuxSystem", "ModelNaming", "PolicyExplanation", "SandboxAudit", "SandboxLaunch", "SandboxPolicy",
            "SeccompFilter", "Settings", "StrictJSON", protobuf,
        ]),
    // The handling of keys, lines and files in `hearth chat`.
    library("ChatTerminal", in: "Commands", ["InferenceMessages", "StrictJSON", "TerminalText", protobuf]),
    command(
        "hearth", in: "Commands",
        [
            "BackendIPC", "ChatTerminal", "ConsumerAccess", "ContractCheck", "Cryptography", "EventLoop", "GRPC",
            "HTTPProtocols", "HostAgent", "InferenceMessages", "Installation", "LaunchPlan", "LinuxSystem", "ModelPull",
            "OwnerTools", "PolicyExplanation", "SandboxPolicy", "SeccompFilter", "Settings", "StrictJSON", "TLSSession",
            "TerminalText", arguments, logging, protobuf,
        ]),
    command(
        "hearth-bench", in: "Commands",
        [
            "BackendSupervisor", "EventLoop", "GRPC", "InferenceMessages", "LaunchPlan", "LinuxSystem", "SandboxLaunch",
            "SandboxPolicy", arguments, protobuf,
        ]),

    // The shipped backends.
    .target(name: "EchoTokens", path: "Backends/echo/Tokens", swiftSettings: swiftSettings),
    .executableTarget(
        name: "echo", dependencies: ["BackendKit", "EchoTokens", "OutputGrammar"], path: "Backends/echo/Sources",
        swiftSettings: swiftSettings, linkerSettings: staticExecutable),
    // The decisions of the llama backend, without llama.cpp.
    .target(
        name: "LlamaPlanning", dependencies: ["BackendKit", "BaseEncodings", "StrictJSON", "WireFormat"],
        path: "Backends/llama/Planning", swiftSettings: swiftSettings),

    // The paths of the repository's files and of the build's products, for tests.
    support("TestPlaces"),
    // Polls until a deadline, and draws reproducible random numbers.
    support("Polling"),
    support("SeededRandom"),
    // Backends that are started without a sandbox.
    support("BackendProgram", ["BackendDriver", "BackendIPC", "LinuxSystem"]),
    tests("LinuxSystemTests", of: "System", ["LinuxSystem", "Polling"]),
    tests("LimitDeclarationTests", of: "System", ["LimitDeclaration"]),
    tests("EventLoopTests", of: "System", ["EventLoop", "LinuxSystem"]),
    tests("BaseEncodingsTests", of: "System", ["BaseEncodings"]),
    tests("CryptographyTests", of: "System", ["BaseEncodings", "Cryptography", "LinuxSystem"]),
    tests("TerminalTextTests", of: "System", ["TerminalText"]),
    tests("ByteBufferTests", of: "System", ["ByteBuffer", "SeededRandom"]),
    tests(
        "WireFormatTests", of: "Messages", ["ByteBuffer", "InferenceMessages", "SeededRandom", "WireFormat", protobuf]),
    tests("StrictJSONTests", of: "Messages", ["StrictJSON"]),
    tests("OutputGrammarTests", of: "Messages", ["OutputGrammar"]),
    tests("ModelNamingTests", of: "Models", ["ModelNaming"]),
    tests("ModelPullTests", of: "Models", ["LinuxSystem", "ModelPull"]),
    tests("ModelDownloadTests", of: "Models", ["BaseEncodings", "ModelDownload", "ModelPull", "SeededRandom"]),
    tests("TLSSessionTests", of: "Transport", ["LinuxSystem", "TLSSession"]),
    tests("GzipCodecTests", of: "Transport", ["GzipCodec"]),
    tests(
        "HTTP2ConnectionTests", of: "Transport",
        ["EventLoop", "HTTP2Connection", "LimitDeclaration", "LinuxSystem"]),
    tests(
        "GRPCTests", of: "Transport",
        [
            "BaseEncodings", "EventLoop", "GRPC", "GRPCMessages", "GzipCodec", "HTTP2Connection", "LimitDeclaration",
            "LinuxSystem", "TLSSession", protobuf,
        ]),
    tests(
        "GRPCIntegrationTests", of: "Transport",
        ["COpenSSL", "EventLoop", "GRPC", "GzipCodec", "HTTP2Connection", "LinuxSystem", "TLSSession", protobuf]),
    tests("SeccompFilterTests", of: "Sandbox", ["SeccompFilter"]),
    tests("LaunchPlanTests", of: "Sandbox", ["LaunchPlan", "LinuxSystem", "SeccompFilter"]),
    tests("LaunchSequenceTests", of: "Sandbox", ["LaunchPlan", "LaunchSequence", "LinuxSystem", "SeccompFilter"]),
    tests(
        "SandboxPolicyTests", of: "Sandbox",
        ["LaunchPlan", "LinuxSystem", "SandboxPolicy", "SeccompFilter", "StrictJSON"]),
    tests(
        "PolicyExplanationTests", of: "Sandbox", ["PolicyExplanation", "SandboxPolicy", "SeccompFilter"]),
    tests(
        "SandboxLaunchTests", of: "Sandbox", ["BaseEncodings", "Cryptography", "LinuxSystem", "SandboxLaunch"]),
    tests("SandboxAuditTests", of: "Sandbox", ["LaunchPlan", "SandboxAudit", "SandboxPolicy"]),
    tests(
        "SandboxIntegrationTests", of: "Sandbox",
        [
            "HandOver", "LaunchPlan", "LinuxSystem", "Polling", "SandboxAudit", "SandboxLaunch", "SandboxPolicy",
            logging,
        ]),
    tests(
        "BackendIPCTests", of: "Backends",
        ["BackendIPC", "ByteBuffer", "InferenceMessages", "LinuxSystem", "SeededRandom", "WireFormat", protobuf]),
    tests(
        "BackendKitTests", of: "Backends",
        [
            "BackendDriver", "BackendIPC", "BackendKit", "BackendProgram", "InferenceMessages", "LinuxSystem",
            "Polling", "WireFormat", protobuf,
        ]),
    tests(
        "BackendSupervisorTests", of: "Backends",
        [
            "BackendIPC", "BackendSupervisor", "BaseEncodings", "EventLoop", "InferenceMessages", "LaunchPlan",
            "LinuxSystem", "Polling", "SandboxLaunch", "SandboxPolicy", "StrictJSON", logging, protobuf,
        ]),
    tests(
        "BackendSupervisorIntegrationTests", of: "Backends",
        [
            "BackendIPC", "BackendSupervisor", "ByteBuffer", "EventLoop", "InferenceMessages", "LaunchPlan",
            "LinuxSystem", "Polling", "SandboxLaunch", "SandboxPolicy", "SeccompFilter", "WireFormat", logging,
            protobuf,
        ]),
    tests(
        "EchoIntegrationTests", of: "Backends",
        [
            "BackendDriver", "BackendIPC", "BackendProgram", "EchoTokens", "InferenceMessages", "LinuxSystem",
            protobuf,
        ]),
    tests(
        "ContractCheckIntegrationTests", of: "Backends",
        ["BackendDriver", "BackendIPC", "BackendProgram", "ContractCheck"]),
    tests("LlamaPlanningTests", of: "Backends", ["BackendKit", "LlamaPlanning"]),
    tests(
        "GRPCServicesTests", of: "Services",
        ["EventLoop", "GRPC", "GRPCMessages", "GRPCServices", "InferenceMessages", "LinuxSystem", protobuf]),
    tests(
        "ConsumerAccessTests", of: "Services",
        ["ConsumerAccess", "Cryptography", "GRPC", "LinuxSystem", "SeededRandom"]),
    tests(
        "TraceExportTests", of: "Services", ["EventLoop", "GRPC", "LinuxSystem", "TraceExport", "WireFormat", logging]),
    tests(
        "InferenceServiceTests", of: "Services",
        [
            "BackendIPC", "ByteBuffer", "ConsumerAccess", "GRPC", "GRPCMessages", "InferenceMessages",
            "InferenceService", "LinuxSystem", "OutputGrammar", "SandboxPolicy", "SeededRandom", "TraceExport",
            "WireFormat", logging, protobuf,
        ]),
    tests(
        "AdminServiceTests", of: "Services",
        [
            "AdminService", "BackendSupervisor", "ConsumerAccess", "GRPC", "InferenceMessages", "LaunchPlan",
            "LimitDeclaration", "ModelPull", "SandboxPolicy", "SeccompFilter", protobuf,
        ]),
    tests(
        "HTTPProtocolsTests", of: "Bridge",
        ["GRPC", "HTTPProtocols", "InferenceMessages", "LinuxSystem", "StrictJSON", protobuf]),
    tests(
        "HostAgentTests", of: "Agent",
        [
            "AdminService", "BackendSupervisor", "EventLoop", "GRPC", "GRPCServices", "HTTPProtocols", "HandOver",
            "HostAgent", "InferenceMessages", "LimitDeclaration", "LinuxSystem", "Settings", protobuf,
        ]),
    tests("HandOverTests", of: "Agent", ["EventLoop", "HandOver", "LinuxSystem"]),
    tests(
        "HandOverIntegrationTests", of: "Agent",
        ["EventLoop", "HandOver", "LaunchPlan", "LinuxSystem", "Polling", "SeededRandom", logging]),
    tests("SettingsTests", of: "Agent", ["LinuxSystem", "Settings"]),
    tests("InstallationTests", of: "Agent", ["Installation", "Settings"]),
    tests("OwnerToolsTests", of: "Agent", ["InferenceMessages", "LinuxSystem", "OwnerTools", "Settings", protobuf]),
    tests(
        "ChatTerminalTests", of: "Commands",
        ["ChatTerminal", "InferenceMessages", "SeededRandom", "TerminalText", protobuf]),
    tests("PolicyCommandIntegrationTests", of: "Commands", []),

    // Programs that the tests of the sandbox start: launches with a step left out, and a bare agent.
    testProgram("sandbox-ablation", ["LaunchPlan", "LaunchSequence"], linkerSettings: staticExecutable),
    testProgram(
        "sandbox-driver",
        [
            "BaseEncodings", "HandOver", "LaunchPlan", "LinuxSystem", "SandboxAudit", "SandboxLaunch", "SandboxPolicy",
            "SeccompFilter",
        ]),
    // A backend that breaks its contract in every way, and a kernel that refuses system calls.
    .executableTarget(name: "unruly", path: "Tests/Programs/unruly", linkerSettings: staticExecutable),
    .executableTarget(name: "refuse-calls", path: "Tests/Programs/refuse-calls", linkerSettings: staticExecutable),
    // A writer of a journal and an agent with a holder, which are killed.
    testProgram("doomed", ["EventLoop", "HandOver", "LinuxSystem", logging]),
    testProgram("runtime-probe", linkerSettings: staticExecutable + foundationLibraries),
    // Prints the meaning of policies, to be compared with libseccomp's simulator.
    testProgram("policy-verdicts", ["LinuxSystem", "SandboxPolicy", "SeccompFilter"]),
    // The path of a token without sandbox and clock, for Tests/Cost.
    testProgram(
        "token-path",
        [
            "BackendSupervisor", "EventLoop", "GRPC", "InferenceService", "LaunchPlan", "LinuxSystem", "SandboxLaunch",
            "SandboxPolicy", logging,
        ]),
    // Run gRPC's interoperability tests with the gRPC project's own clients and servers, for Scripts/interop.
    .target(
        name: "InteropMessages", dependencies: [protobuf], path: "Tests/Programs/InteropMessages",
        swiftSettings: swiftSettings),
    testProgram("interop-server", ["EventLoop", "GRPC", "InteropMessages", "TLSSession", arguments, protobuf]),
    testProgram(
        "interop-client", ["EventLoop", "GRPC", "InteropMessages", "LinuxSystem", "TLSSession", arguments, protobuf]),
]

// The code that takes untrusted bytes, either under libFuzzer (`Scripts/fuzz` sets this variable, and builds only that)
// or in the tests, because a folder can be part of one target only.
let fuzzed: [Target.Dependency] = [
    "BackendIPC", "BaseEncodings", "ByteBuffer", "EventLoop", "GRPC", "HTTP2Connection", "LinuxSystem",
    "OutputGrammar", "Polling", "WireFormat", protobuf,
]
if Context.environment["HEARTH_FUZZ"] == "1" {
    targets.append(
        .executableTarget(
            name: "fuzz", dependencies: fuzzed, path: "Tests/Fuzz", exclude: ["Mutations"],
            swiftSettings: swiftSettings))
} else {
    targets.append(
        .testTarget(
            name: "FuzzTests", dependencies: fuzzed + ["SeededRandom"], path: "Tests/Fuzz", exclude: ["LibFuzzer"],
            swiftSettings: swiftSettings))
}

if let llamaPrefix {
    targets += [
        .target(
            name: "CLlama", path: "Backends/llama/Shim",
            cxxSettings: [.unsafeFlags(["-I\(llamaPrefix)/include", "-std=c++17"])]),
        .executableTarget(
            name: "llama", dependencies: ["BackendIPC", "BackendKit", "CLlama", "LlamaPlanning"],
            path: "Backends/llama/Sources", swiftSettings: swiftSettings,
            linkerSettings: staticExecutable + [
                .unsafeFlags(["-L\(llamaPrefix)/lib"]),
                // Of llama.cpp's "common" only what is used: the rest needs more than is linked.
                .unsafeFlags(["-Xlinker", "--gc-sections"]),
                // Shim/WeightsFiles.cpp has what takes their places.
                .unsafeFlags(["-Xlinker", "--wrap=ggml_fopen", "-Xlinker", "--wrap=fclose"]),
                .linkedLibrary("llama-chat"), .linkedLibrary("llama"), .linkedLibrary("ggml"),
                .linkedLibrary("ggml-cpu"), .linkedLibrary("ggml-base"), .linkedLibrary("stdc++"), .linkedLibrary("m"),
                .linkedLibrary("pthread"),
            ]),
        tests(
            "LlamaIntegrationTests", of: "Backends",
            [
                "BackendDriver", "BackendIPC", "BackendProgram", "ContractCheck", "InferenceMessages", "LinuxSystem",
                "SeededRandom", protobuf,
            ]),
    ]
}

var bridgeDependencies: [Package.Dependency] = []
if hasBridge {
    // The bridge sees no file: those of the page are in it.
    targets.append(
        .target(
            name: "HostPage", dependencies: ["BaseEncodings", "Cryptography"], path: "Sources/Bridge/HostPage",
            resources: [.embedInCode("Files")], swiftSettings: swiftSettings))
    targets.append(
        command(
            "hearth-bridge", in: "Bridge",
            [
                "BaseEncodings", "Cryptography", "EventLoop", "GRPC", "HTTP2Connection", "HTTPProtocols", "HostPage",
                "InferenceMessages", "LinuxSystem", "TLSSession",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                logging, protobuf,
            ], linkerSettings: staticExecutable + foundationLibraries))
    bridgeDependencies = [
        // Without its traits: configuration files are not read, and of Foundation only the essentials are needed.
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0", traits: []),
    ]
}

let package = Package(
    name: "hearth",
    products: [
        .library(name: "BackendKit", targets: ["BackendKit"]),
        .executable(name: "hearth", targets: ["hearth"]),
        .executable(name: "hearth-sandbox", targets: ["hearth-sandbox"]),
        .executable(name: "hearth-pull", targets: ["hearth-pull"]),
        .executable(name: "hearth-holder", targets: ["hearth-holder"]),
        .executable(name: "sandbox-probe", targets: ["sandbox-probe"]),
        .executable(name: "echo", targets: ["echo"]),
    ],
    // Exact versions: no lock file is committed, and the same commit builds the same program everywhere.
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        // Without its traits, which are not used here: SwiftPM passes several on in any order, and when the order is
        // another one than last time everything that imports it is compiled anew.
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0", traits: []),
    ] + bridgeDependencies,
    targets: targets,
    swiftLanguageModes: [.v6]
)
