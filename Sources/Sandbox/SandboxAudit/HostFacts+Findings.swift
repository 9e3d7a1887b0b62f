extension HostFacts {
    /// All findings; those that keep the machine from a tier have a remedy. Pure.
    package var findings: [HostFinding] {
        [
            kernel, seccomp, landlock, userNamespaces, memoryFiles, surroundings, controlGroups, speculation, tracing,
            randomization,
        ].compactMap { $0 }
    }

    /// The remedy for user namespaces, if something is known to keep ordinary users from making them.
    package var namespaceRemedy: String? {
        if userNamespaces.state == .bad { return userNamespaces.remedy }
        return container == nil ? nil : surroundings.remedy
    }

    private static let reducedByName =
        "run Hearth where ordinary users may make them, such as a virtual machine of its own, or ask for tier reduced by "
        + "name (--tier reduced)"

    private var kernel: HostFinding {
        let text = "Linux \(kernelRelease)"
        let wanted = "Linux 5.13 or later; 6.12 or later closes the most"
        // mount_setattr(2) came with 5.12, Landlock with 5.13.
        if !isKernel(5, 13) {
            return HostFinding("kernel", .bad, "\(text) lacks Landlock", remedy: "install \(wanted)")
        }
        if !isKernel(6, 12) {
            let lacks = (isKernel(6, 7) ? [] : ["Landlock's rules for TCP (6.7)"]) + ["its scopes (6.12)"]
            return HostFinding(
                "kernel", .notice, "\(text) lacks \(lacks.joined(separator: " and "))",
                remedy: "install a newer kernel when your distribution has one: 6.12 or later")
        }
        return HostFinding("kernel", .good, text)
    }

    private var seccomp: HostFinding {
        guard let actions = seccompActions else {
            return HostFinding(
                "seccomp", .bad, "the kernel has no seccomp filters",
                remedy: "use a kernel with CONFIG_SECCOMP_FILTER, as every distribution's has")
        }
        let missing = ["kill_process", "errno", "user_notif", "allow"].filter { !actions.contains($0) }
        guard missing.isEmpty else {
            return HostFinding(
                "seccomp", .bad, "the kernel's filters cannot answer \(missing.joined(separator: ", "))",
                remedy: "use Linux 5.13 or later")
        }
        let text = "filters answer \(actions.joined(separator: ", "))"
        return HostFinding("seccomp", .good, isFiltered ? "\(text); this process is filtered already" : text)
    }

    private var landlock: HostFinding {
        guard landlockVersion > 0 else {
            return HostFinding(
                "landlock", .bad, "the kernel has no Landlock, or it is not switched on",
                remedy: "use Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK, and put landlock first in the kernel's "
                    + "parameter lsm=")
        }
        let gaps = [
            (2, "moving files between folders"), (3, "truncating files"), (4, "TCP"), (5, "ioctl on devices"),
            (6, "signals and abstract Unix sockets"),
        ].filter { $0.0 > landlockVersion }.map(\.1)
        guard gaps.isEmpty else {
            return HostFinding(
                "landlock", .notice,
                "version \(landlockVersion) does not know of \(gaps.joined(separator: ", ")); the other layers stop these",
                remedy: "install Linux 6.12 or later when your distribution has it")
        }
        return HostFinding("landlock", .good, "version \(landlockVersion)")
    }

    private var userNamespaces: HostFinding {
        let name = "user-namespaces"
        if userNamespacesMax == 0 {
            return HostFinding(
                name, .bad, "user.max_user_namespaces is 0: nobody makes user namespaces here",
                remedy: HostFacts.reducedByName)
        }
        if unprivilegedNamespaces == false {
            return HostFinding(
                name, .bad, "kernel.unprivileged_userns_clone is 0: only root makes user namespaces here",
                remedy: HostFacts.reducedByName)
        }
        if appArmorRestrictsNamespaces, !hasAppArmorProfile {
            return HostFinding(
                name, .bad,
                "AppArmor lets only programs with a profile make user namespaces (Ubuntu 23.10 and later), and "
                    + "hearth-sandbox has none",
                remedy: appArmorRemedy)
        }
        if isInChroot {
            return HostFinding(
                name, .bad, "this is a chroot, in which the kernel makes no user namespaces",
                remedy: "run Hearth on the machine itself, or in a container whose root is a mount (systemd-nspawn, "
                    + "pivot_root)")
        }
        let profile = appArmorRestrictsNamespaces ? ", and hearth-sandbox has the AppArmor profile that it needs" : ""
        return HostFinding(name, .good, "nothing is known to forbid them\(profile)")
    }

    private var appArmorRemedy: String {
        let place = "/etc/apparmor.d/hearth-sandbox"
        guard let shipped = shippedAppArmorProfile else {
            return "install Hearth with Scripts/install, which brings the profile along and says how to load it"
        }
        return "load the profile that came with Hearth: sudo install -m 644 \(shipped) \(place) && "
            + "sudo apparmor_parser --replace \(place)"
    }

    private var memoryFiles: HostFinding? {
        guard memoryFilesNoExecution >= 2 else { return nil }
        return HostFinding(
            "memory-files", .bad,
            "vm.memfd_noexec is 2: nothing in memory may be executed, and Hearth executes the sealed copy that it hashed",
            remedy: "run Hearth in a virtual machine of its own, whose setting is another one")
    }

    private var surroundings: HostFinding {
        guard let container else {
            return HostFinding("surroundings", .good, isInChroot ? "a chroot" : "no container that is known")
        }
        return HostFinding(
            "surroundings", .notice, "traces of a container (\(container)), which may forbid namespaces",
            remedy:
                "where tier full is not reached, install Hearth on the host itself or in a virtual machine; give the "
                + "container no more rights than it has")
    }

    private var controlGroups: HostFinding {
        guard !controlGroupAbsence.isEmpty else {
            return HostFinding("control-groups", .good, "a cgroup v2 is delegated to this process")
        }
        return HostFinding(
            "control-groups", .notice,
            "\(controlGroupAbsence); started from here, backends are limited per process only",
            remedy: "start the agent by the systemd unit of the installation, which has Delegate=yes")
    }

    private var speculation: HostFinding {
        speculationControls > 0
            ? HostFinding("speculation", .good, "a process may forbid itself \(speculationControls) kinds of it")
            : HostFinding(
                "speculation", .notice, "this kernel and processor let no process forbid itself speculation",
                remedy:
                    "install current microcode, where the processor is affected; inside a virtual machine it is its "
                    + "host's to offer")
    }

    private var tracing: HostFinding {
        switch yamaScope {
        case nil, 0:
            HostFinding(
                "tracing", .notice,
                "programs of one user may trace one another; a backend in the sandbox may not, whatever this says",
                remedy: "set kernel.yama.ptrace_scope to 1 where the kernel has Yama, for your other programs")
        case let scope?: HostFinding("tracing", .good, "kernel.yama.ptrace_scope is \(scope)")
        }
    }

    private var randomization: HostFinding? {
        guard addressRandomization < 2 else { return nil }
        return HostFinding(
            "address-randomization", .notice, "kernel.randomize_va_space is \(addressRandomization)",
            remedy: "set kernel.randomize_va_space to 2, the default")
    }
}
