/// System calls of Linux that a libseccomp in use may not know yet: those that came after Linux 5.17, whose calls
/// libseccomp 2.5.4 knows. Since 5.1 a new call has one number everywhere (Documentation/process/adding-syscalls).
///
/// A policy may name them, as profiles of newer container engines do. They make no rule: a filter answers every number
/// above those that libseccomp knows with ENOSYS, and C libraries fall back to older calls.
enum NewerSyscalls {
    static let numbers: [String: UInt32] = [
        "cachestat": 451, "fchmodat2": 452, "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455,
        "futex_requeue": 456, "statmount": 457, "listmount": 458, "lsm_get_self_attr": 459, "lsm_set_self_attr": 460,
        "lsm_list_modules": 461, "mseal": 462, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465,
        "removexattrat": 466, "open_tree_attr": 467, "file_getattr": 468, "file_setattr": 469, "listns": 470,
    ]

    /// Calls of x86-64 only, which the kernel itself inserts for its probes; programs are not meant to make them.
    static let ofOneArchitecture: [String: UInt32] = ["uretprobe": 335, "uprobe": 336]

    static let names: [UInt32: String] = Dictionary(uniqueKeysWithValues: numbers.map { ($1, $0) })

    static func isKnown(_ name: String) -> Bool { numbers[name] != nil || ofOneArchitecture[name] != nil }
}
