// swift-tools-version: 6.1
import PackageDescription

// The llama.cpp backend is built only where its static libraries are: `Scripts/build-llama` makes them and the
// other scripts pass the folder on in this variable. Without it everything else builds and tests.
let llamaPrefix = Context.environment["HEARTH_LLAMA_PREFIX"].flatMap { $0.isEmpty ? nil : $0 }

// CI sets this; a developer's half-written line may warn.
let warningsAsErrors = Context.environment["HEARTH_WARNINGS_AS_ERRORS"] == "1"

let swiftSettings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (warningsAsErrors ? [.unsafeFlags(["-warnings-as-errors"])] : [])

// A backend and the launcher must start in an empty root: no dynamic loader, no shared library.
let staticExecutable: [LinkerSetting] = [.unsafeFlags(["-static-executable"])]

// What Foundation is made of, which a static executable must name (its module names shared libraries only).
let foundationLibraries: [LinkerSetting] = [
    "Foundation", "FoundationInternationalization", "FoundationEssentials", "CoreFoundation", "_FoundationICU",
    "_FoundationCShims", "_FoundationCollections", "swiftSynchronization", "stdc++", "m",
].map { .linkedLibrary($0) }

let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// A library target of ours: layer order is the order below, imports point strictly up this list.
func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

var targets: [Target] = [
    // Layer 0: the kernel and the C libraries.
    .target(name: "CLinux"),
    .systemLibrary(
        name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
    library("LinuxSystem", ["CLinux"]),
    library("WireFormat"),
    library("StrictJSON", ["LinuxSystem"]),
    library("TerminalText"),

    // Layer 1: one owner for each C library, the event loop, pure formats.
    library("LaunchPlan"),
    library("LaunchSequence", ["LaunchPlan", "LinuxSystem"]),
    library("EventLoop", ["LinuxSystem"]),
    library("TLSSession", ["COpenSSL", "LinuxSystem"]),
    library("GzipCodec", ["CZlib"]),
    library("HTTP2Connection", ["CNghttp2", "EventLoop", "LinuxSystem", "TLSSession"]),
    library("SandboxPolicy", ["CSeccomp", "LaunchPlan", "LinuxSystem", "StrictJSON"]),
    library("InferenceMessages", [protobuf]),
    library("GRPCMessages", [protobuf]),

    // Layer 2: gRPC, and the life of a backend.
    library(
        "GRPC", ["EventLoop", "GRPCMessages", "GzipCodec", "HTTP2Connection", "LinuxSystem", "TLSSession", protobuf]),
    library("BackendIPC", ["LinuxSystem", "WireFormat"]),
    library("BackendKit", ["BackendIPC", "LinuxSystem", "WireFormat"]),
    library(
        "BackendSupervisor",
        [
            "BackendIPC", "EventLoop", "LaunchPlan", "LinuxSystem", "SandboxPolicy", "StrictJSON", "TLSSession",
            "TerminalText", "WireFormat", logging,
        ]),
    // Attacks on the sandbox, for the tests and for `hearth doctor`.
    library("SandboxAudit", ["BackendSupervisor", "LaunchPlan", "LinuxSystem", "SandboxPolicy"]),

    // Who may call: tokens and what they allow.
    library("ConsumerAccess", ["EventLoop", "GRPC", "LinuxSystem", "TLSSession"]),

    // Layer 3: the services, first those that any gRPC server has.
    library("GRPCServices", ["EventLoop", "GRPC", "GRPCMessages", protobuf]),
    library(
        "InferenceService",
        [
            "BackendIPC", "BackendSupervisor", "ConsumerAccess", "EventLoop", "GRPC", "InferenceMessages",
            "LinuxSystem", "SandboxPolicy",
            "TLSSession", "WireFormat", protobuf,
        ]),
    library(
        "AdminService",
        [
            "BackendSupervisor", "EventLoop", "GRPC", "InferenceMessages", "InferenceService", "LaunchPlan",
            "LinuxSystem", "SandboxPolicy", protobuf,
        ]),

    // Layer 4 and 5: wiring, and what a person runs.
    library(
        "HostAgent",
        [
            "AdminService", "BackendSupervisor", "ConsumerAccess", "EventLoop", "GRPC", "GRPCServices",
            "HTTP2Connection", "InferenceMessages", "InferenceService", "LaunchPlan", "LinuxSystem", "SandboxAudit",
            "SandboxPolicy",
            "StrictJSON", "TLSSession", "TerminalText", logging,
        ]),
    .executableTarget(
        name: "hearth",
        dependencies: [
            "ConsumerAccess", "EventLoop", "GRPC", "HostAgent", "InferenceMessages", "LaunchPlan", "LinuxSystem",
            "SandboxPolicy", "TLSSession", "TerminalText",
            arguments, logging, protobuf,
        ],
        swiftSettings: swiftSettings),
    .executableTarget(
        name: "hearth-sandbox", dependencies: ["LaunchSequence"],
        swiftSettings: swiftSettings, linkerSettings: staticExecutable),

    .executableTarget(
        name: "hearth-bench",
        dependencies: [
            "BackendSupervisor", "EventLoop", "GRPC", "InferenceMessages", "LaunchPlan", "LinuxSystem", "SandboxPolicy",
            arguments, protobuf,
        ],
        swiftSettings: swiftSettings),
    tests("LinuxSystemTests", ["LinuxSystem"]),
    tests("EventLoopTests", ["EventLoop", "LinuxSystem"]),
    tests(
        "InferenceServiceTests",
        [
            "BackendIPC", "GRPC", "GRPCMessages", "InferenceMessages", "InferenceService", "LinuxSystem", "WireFormat",
            protobuf,
        ]),
    tests(
        "HostAgentTests",
        ["EventLoop", "GRPCServices", "HostAgent", "InferenceMessages", "LinuxSystem", protobuf]),

    // The shipped backends.
    .target(name: "EchoTokens", path: "Backends/echo/Tokens", swiftSettings: swiftSettings),
    .executableTarget(
        name: "echo", dependencies: ["BackendKit", "EchoTokens"], path: "Backends/echo/Sources",
        swiftSettings: swiftSettings, linkerSettings: staticExecutable),

    // What the llama backend decides, without llama.cpp.
    .target(name: "LlamaPlanning", path: "Backends/llama/Planning", swiftSettings: swiftSettings),

    // Tests mirror the targets; those that start processes are called integration tests.
    tests("WireFormatTests", ["InferenceMessages", "WireFormat", protobuf]),
    tests("BackendIPCTests", ["BackendIPC", "InferenceMessages", "LinuxSystem", "WireFormat", protobuf]),
    tests(
        "BackendKitTests", ["BackendIPC", "BackendKit", "InferenceMessages", "LinuxSystem", "WireFormat", protobuf]),
    tests(
        "EchoIntegrationTests",
        ["BackendIPC", "EchoTokens", "InferenceMessages", "LinuxSystem", "WireFormat", protobuf]),
    tests("LlamaPlanningTests", ["LlamaPlanning"]),
    // What the sandbox is tested with: a hostile backend, which `hearth doctor` runs too, and an agent that starts it.
    .executableTarget(name: "sandbox-probe", path: "Tests/SandboxProbe", linkerSettings: staticExecutable),
    .executableTarget(
        name: "sandbox-ablation", dependencies: ["LaunchSequence"], path: "Tests/SandboxAblation",
        swiftSettings: swiftSettings, linkerSettings: staticExecutable),
    .executableTarget(
        name: "sandbox-driver",
        dependencies: ["BackendSupervisor", "LaunchPlan", "LinuxSystem", "SandboxAudit", "SandboxPolicy"],
        path: "Tests/SandboxDriver", swiftSettings: swiftSettings),
    // A backend that breaks its contract in every way, and a kernel that refuses system calls.
    .executableTarget(name: "unruly", path: "Tests/UnrulyBackend", linkerSettings: staticExecutable),
    .executableTarget(name: "refuse-calls", path: "Tests/RefuseCalls", linkerSettings: staticExecutable),
    .executableTarget(
        name: "runtime-probe", path: "Tests/RuntimeProbe", swiftSettings: swiftSettings,
        linkerSettings: staticExecutable + foundationLibraries),
    // Says what policies mean, to be held against libseccomp's simulator.
    .executableTarget(
        name: "policy-verdicts", dependencies: ["LaunchPlan", "LinuxSystem", "SandboxPolicy"],
        path: "Tests/PolicyVerdicts", swiftSettings: swiftSettings),
    // Speak gRPC's interoperability tests with the gRPC project's own clients and servers, for Scripts/interop.
    .target(
        name: "InteropMessages", dependencies: [protobuf], path: "Tests/InteropMessages", swiftSettings: swiftSettings),
    .executableTarget(
        name: "interop-server",
        dependencies: ["EventLoop", "GRPC", "InteropMessages", "TLSSession", arguments, protobuf],
        path: "Tests/InteropServer", swiftSettings: swiftSettings),
    .executableTarget(
        name: "interop-client",
        dependencies: ["EventLoop", "GRPC", "InteropMessages", "LinuxSystem", "TLSSession", arguments, protobuf],
        path: "Tests/InteropClient", swiftSettings: swiftSettings),
    tests("LaunchPlanTests", ["LaunchPlan"]),
    tests("LaunchSequenceTests", ["LaunchPlan", "LaunchSequence", "LinuxSystem"]),
    tests("SandboxAuditTests", ["LaunchPlan", "SandboxAudit", "SandboxPolicy"]),
    tests("SandboxPolicyTests", ["LaunchPlan", "LinuxSystem", "SandboxPolicy", "StrictJSON"]),
    tests("StrictJSONTests", ["StrictJSON"]),
    tests("TerminalTextTests", ["TerminalText"]),
    tests("PolicyCommandIntegrationTests", []),
    tests("TLSSessionTests", ["LinuxSystem", "TLSSession"]),
    tests("HTTP2ConnectionTests", ["EventLoop", "HTTP2Connection", "LinuxSystem"]),
    tests("ConsumerAccessTests", ["ConsumerAccess", "GRPC", "LinuxSystem"]),
    tests("GzipCodecTests", ["GzipCodec"]),
    tests(
        "GRPCTests",
        [
            "EventLoop", "GRPC", "GRPCMessages", "GzipCodec", "HTTP2Connection", "LinuxSystem", "TLSSession", protobuf,
        ]),
    tests(
        "GRPCIntegrationTests",
        ["COpenSSL", "EventLoop", "GRPC", "GzipCodec", "HTTP2Connection", "LinuxSystem", "TLSSession", protobuf]),
    tests(
        "GRPCServicesTests",
        ["EventLoop", "GRPC", "GRPCMessages", "GRPCServices", "InferenceMessages", "LinuxSystem", protobuf]),
    tests(
        "SandboxIntegrationTests", ["BackendSupervisor", "LaunchPlan", "LinuxSystem", "SandboxAudit", "SandboxPolicy"]),
    tests("BackendSupervisorTests", ["BackendIPC", "BackendSupervisor", "EventLoop", "LinuxSystem", "SandboxPolicy"]),
    tests(
        "BackendSupervisorIntegrationTests",
        [
            "BackendIPC", "BackendSupervisor", "EventLoop", "InferenceMessages", "LaunchPlan", "LinuxSystem",
            "SandboxPolicy", "WireFormat", logging, protobuf,
        ]),
]

// The same code that takes strangers' bytes, under libFuzzer (`Scripts/fuzz` sets this, and builds only that) or in the tests:
// a folder can be part of one target only.
let fuzzed: [Target.Dependency] = [
    "BackendIPC", "EventLoop", "GRPC", "HTTP2Connection", "LinuxSystem", "WireFormat", protobuf,
]
if Context.environment["HEARTH_FUZZ"] == "1" {
    targets.append(
        .executableTarget(
            name: "fuzz", dependencies: fuzzed, path: "Tests/Fuzz", exclude: ["Mutations"],
            swiftSettings: swiftSettings))
} else {
    targets.append(
        .testTarget(
            name: "FuzzTests", dependencies: fuzzed, path: "Tests/Fuzz", exclude: ["LibFuzzer"],
            swiftSettings: swiftSettings))
}

if let llamaPrefix {
    targets += [
        .target(
            name: "CLlama", path: "Backends/llama/Shim",
            cxxSettings: [.unsafeFlags(["-I\(llamaPrefix)/include", "-std=c++17"])]),
        .executableTarget(
            name: "llama", dependencies: ["BackendKit", "CLlama", "LlamaPlanning"], path: "Backends/llama/Sources",
            swiftSettings: swiftSettings,
            linkerSettings: staticExecutable + [
                .unsafeFlags(["-L\(llamaPrefix)/lib"]),
                .linkedLibrary("llama"), .linkedLibrary("ggml"), .linkedLibrary("ggml-cpu"),
                .linkedLibrary("ggml-base"), .linkedLibrary("stdc++"), .linkedLibrary("m"),
                .linkedLibrary("pthread"),
            ]),
        tests("LlamaIntegrationTests", ["BackendIPC", "InferenceMessages", "LinuxSystem", "WireFormat", protobuf]),
    ]
}

let package = Package(
    name: "hearth",
    products: [
        .library(name: "BackendKit", targets: ["BackendKit"]),
        .executable(name: "hearth", targets: ["hearth"]),
        .executable(name: "hearth-sandbox", targets: ["hearth-sandbox"]),
        .executable(name: "sandbox-probe", targets: ["sandbox-probe"]),
        .executable(name: "echo", targets: ["echo"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // Without its traits, which are not used here: SwiftPM passes several on in any order, and when the order is
        // another one than last time everything that imports it is compiled anew.
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    ],
    targets: targets,
    swiftLanguageModes: [.v6]
)
