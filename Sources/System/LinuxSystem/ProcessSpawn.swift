internal import CLinux
internal import Glibc

/// Starts another program with exactly the descriptors that it is given (posix_spawn(3)).
package enum ProcessSpawn {
    /// POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK of spawn.h.
    private static let flags: Int16 = 0x04 | 0x08
    /// POSIX_SPAWN_SETSID.
    private static let sessionFlag: Int16 = 0x80

    /// Starts the program at `path` in a session of its own, or in this process's, with default signals and none blocked.
    /// Of this process's descriptors it gets `descriptors`, borrowed for the call, as 0, 1, 2 and so on, and no other,
    /// close-on-exec or not. May be called by any thread.
    package static func spawn(
        _ path: String, arguments: [String], environment: [String], descriptors: [CInt], inOwnSession: Bool = true
    ) throws(LinuxError) -> CInt {
        // Lifted above every target first, so that placing one cannot overwrite another.
        var lifted: [CInt] = []
        defer { for descriptor in lifted { close(descriptor) } }
        for descriptor in descriptors {
            lifted.append(
                try checked("lift descriptor \(descriptor)") {
                    fcntl(descriptor, F_DUPFD_CLOEXEC, CInt(descriptors.count))
                })
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, source) in lifted.enumerated() {
            try succeeded(
                "place descriptor \(target)", posix_spawn_file_actions_adddup2(&actions, source, CInt(target)))
        }
        // A library's descriptor that is not close-on-exec, such as a pipe's end, would otherwise stay open in the
        // child.
        try succeeded(
            "close all other descriptors",
            hearth_spawn_close_from(&actions, CInt(descriptors.count)))
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, inOwnSession ? flags | sessionFlag : flags)

        var processID: pid_t = 0
        let result = CStringList.with(arguments) { argv in
            CStringList.with(environment) { envp in posix_spawn(&processID, path, &actions, &attributes, argv, envp) }
        }
        try succeeded("start \(path)", result)
        return processID
    }

    /// These calls return an errno instead of setting it.
    private static func succeeded(_ operation: String, _ result: CInt) throws(LinuxError) {
        if result != 0 { throw LinuxError(code: result, operation: operation) }
    }
}

/// Strings as an `argv`: pointers, the last one null.
enum CStringList {
    static func with<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}

extension DescriptorPair {
    /// Keeps the first end and closes the second.
    package consuming func takeFirst() -> Descriptor {
        take { first, _ in first }
    }

    /// Keeps the second end and closes the first.
    package consuming func takeSecond() -> Descriptor {
        take { _, second in second }
    }
}
