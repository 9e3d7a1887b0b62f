package import LaunchPlan
package import LinuxSystem
internal import SeccompFilter
internal import StrictJSON

/// Makes a launch plan from a manifest, the owner's limits and a compiled filter. Pure.
package enum LaunchPlanner {
    /// Fixed variables that runtimes and libraries need to behave in a sandbox.
    private static let environment = [
        // ggml would fork a debugger on a failed assertion.
        "GGML_NO_BACKTRACE=1",
        // Swift's runtime would look for its backtracer beside its own executable, and abort when there is no /proc
        // to find that with.
        "SWIFT_BACKTRACE=enable=no,swift-backtrace=/none",
    ]

    private static let mebibyte: UInt64 = 1 << 20
    private static let stackBytes: UInt64 = 8 << 20
    /// The address space that the allocator reserves, mostly unused, for each thread's arena (malloc(3)).
    private static let arenaBytes: UInt64 = 128 << 20
    /// The address space that a static program maps before its own first allocation, and room for page-aligned
    /// reservations.
    private static let fixedBytes: UInt64 = 256 << 20
    private static let descriptorsMax: UInt64 = 64

    /// The plan for one process. Throws when the manifest asks for what the owner does not allow.
    /// - Parameters:
    ///   - name: the executable's name, which becomes `argv[0]` unless an interpreter runs it.
    ///   - manifest: the manifest with the process's model alone.
    ///   - filter: `SeccompPolicy.compile()` of the manifest's policy.
    ///   - weightBytes: the size of the weights that are handed on, which count beside the memory.
    ///   - layers: the tier's layers, and others that this machine offers.
    package static func plan(
        name: String, manifest: BackendManifest, owner: OwnerLimits, tier: SandboxTier, layers: SandboxLayers? = nil,
        filter: [UInt8], weightBytes: UInt64 = 0
    ) throws(SandboxPolicyError) -> LaunchPlan {
        if let allowed = owner.policies, !allowed.contains(manifest.policy) {
            throw SandboxPolicyError(
                file: name, "asks for policy '\(manifest.policy)', which the owner does not allow")
        }
        if let interpreter = manifest.interpreter, owner.place(of: interpreter) == nil {
            throw SandboxPolicyError(
                file: name,
                "asks for the interpreter \(interpreter), which the owner does not allow; allow its folder with 'readable'"
            )
        }
        // Interpreters find their own files by the path that they were started with.
        var plan = LaunchPlan(
            arguments: [manifest.interpreter ?? name] + manifest.arguments, tier: tier, filter: filter)
        if let layers { plan.layers = layers }
        plan.environment = environment
        plan.tellingArguments = tellingArguments
        let mapsCode = try mapsFilesAsCode(filter)
        for path in manifest.readOnlyPaths {
            guard let place = owner.place(of: path) else {
                throw SandboxPolicyError(
                    file: name, "asks to read \(path), which the owner does not allow; allow it with 'readable'")
            }
            plan.binds.append(
                ReadOnlyBind(
                    source: path, root: place.root, within: place.within, target: path, allowsExecution: mapsCode))
        }
        // Its files take memory, which the owner limits.
        plan.temporaryBytes = min(manifest.temporaryMebibytes ?? 0, owner.memoryMebibytes) * mebibyte
        for device in manifest.devices {
            guard owner.devices.contains(device) else {
                throw SandboxPolicyError(
                    file: name, "asks to use \(device), which the owner does not allow; allow it with 'devices'")
            }
            plan.devices.append(device)
        }
        plan.limits = limits(
            memoryBytes: memoryBytes(manifest, owner), threads: UInt64(threads(manifest, owner)), tier: tier,
            weightBytes: weightBytes, fileBytes: plan.temporaryBytes)
        return plan
    }

    /// The arguments that tell denied calls apart.
    package static let tellingArguments: [TellingArguments] = SyscallNames.all.compactMap { call in
        ArgumentClass.index(ofCall: call.number).map { TellingArguments(call: call.number, mask: 1 << UInt8($0)) }
    }

    /// Whether a filter lets a program map files as code, privately and read-only: only then are its binds executable,
    /// which a dynamic loader and its libraries need.
    package static func mapsFilesAsCode(_ filter: [UInt8]) throws(SandboxPolicyError) -> Bool {
        let readAndExecute: UInt64 = 1 | 4
        let mapPrivate: UInt64 = 2
        do throws(FilterError) {
            let mmap = SystemCall(SyscallNames.number(of: "mmap") ?? .max, [0, 4096, readAndExecute, mapPrivate, 4, 0])
            return [.allow, .log].contains(try FilterProgram(filter).verdict(on: mmap))
        } catch {
            throw SandboxPolicyError(file: "", error.description)
        }
    }

    /// The limits of its control group, where this machine has one for it. The weights count, because their page cache
    /// is charged to the first reader.
    package static func controlGroupLimits(
        _ manifest: BackendManifest, _ owner: OwnerLimits, weightBytes: UInt64, executableBytes: UInt64
    ) -> ControlGroupLimits {
        let threads = threads(manifest, owner)
        let sum = (memoryBytes(manifest, owner) &+ fixedBytes).addingReportingOverflow(weightBytes &+ executableBytes)
        return ControlGroupLimits(
            memoryBytes: sum.overflow ? .max : sum.partialValue,
            processes: threadsMax(UInt64(threads)) + launcherProcesses, processors: threads)
    }

    /// A backend has more threads than those that compute: one that reads, one that waits, a pool's spare.
    private static func threadsMax(_ threads: UInt64) -> UInt64 { threads * 2 + 16 }
    /// The launcher, and the first process of the namespace.
    private static let launcherProcesses: UInt64 = 2

    /// The threads that a backend may compute with.
    package static func threads(_ manifest: BackendManifest, _ owner: OwnerLimits) -> UInt32 {
        max(1, min(manifest.models.first?.threads ?? manifest.threads ?? owner.threads, owner.threads))
    }

    /// The memory that a backend may use beside its weights.
    package static func memoryBytes(_ manifest: BackendManifest, _ owner: OwnerLimits) -> UInt64 {
        let asked = manifest.models.first?.memoryMebibytes ?? manifest.memoryMebibytes
        let mebibytes = min(asked ?? owner.defaultMemoryMebibytes, owner.memoryMebibytes)
        return min(mebibytes, 1 << 30) * mebibyte
    }

    /// The place of a model's weights: the manifest's folder, or a path that the owner allows to read, and the rest of
    /// the path, which must not lead out of it. A relative path starts at the manifest's folder.
    package static func weightsPlace(
        _ file: String, folder: String, owner: OwnerLimits
    ) throws(SandboxPolicyError) -> PlaceWithin {
        if file.utf8.first == UInt8(ascii: "/") {
            guard let place = owner.place(of: file) else {
                throw SandboxPolicyError(
                    file: folder,
                    "weights '\(file)' are not where the owner allows; put them beside the backend, or allow their folder "
                        + "with 'readable'")
            }
            return place
        }
        guard ReadOnlyBind.components(of: "/" + file) != nil else {
            throw SandboxPolicyError(file: folder, "weights '\(file)': write a path without '.', '..' and '//'")
        }
        return PlaceWithin(root: folder, within: file)
    }

    private static func limits(
        memoryBytes: UInt64, threads: UInt64, tier: SandboxTier, weightBytes: UInt64, fileBytes: UInt64
    ) -> [ResourceLimit] {
        let threadsMax = threadsMax(threads)
        let addressSpace = memoryBytes &+ threadsMax &* (stackBytes &+ arenaBytes) &+ fixedBytes
        let sum = addressSpace.addingReportingOverflow(weightBytes)
        var limits: [ResourceLimit] = [
            // 1, not 0: with 0 a core that is piped to a handler is still written (core(5)).
            ResourceLimit(.coreBytes, 1),
            ResourceLimit(.fileBytes, fileBytes),
            ResourceLimit(.dataBytes, memoryBytes &+ threadsMax &* stackBytes),
            ResourceLimit(.stackBytes, stackBytes),
            ResourceLimit(.descriptors, descriptorsMax),
            ResourceLimit(.lockedBytes, 0),
            ResourceLimit(.addressSpaceBytes, sum.overflow ? .max : sum.partialValue),
            ResourceLimit(.fileLocks, 0),
            ResourceLimit(.messageQueueBytes, 0),
            ResourceLimit(.niceness, 0),
            ResourceLimit(.realtimePriority, 0),
        ]
        // Processes are counted per user and user namespace: without a namespace of its own the owner's other processes
        // would count.
        if tier == .full { limits.append(ResourceLimit(.processes, threadsMax + 3)) }
        return limits
    }
}
