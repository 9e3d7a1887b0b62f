internal import Glibc

/// How many descriptors this process may have open (getrlimit(2), RLIMIT_NOFILE).
package enum DescriptorLimit {
    /// Raises the soft limit to this number, or as far as the hard limit allows; never lowers it. Returns the limit in
    /// force.
    package static func raise(to wanted: UInt64) -> UInt64 {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        let before = limit.rlim_cur
        limit.rlim_cur = max(before, min(rlim_t(clamping: wanted), limit.rlim_max))
        guard limit.rlim_cur != before else { return UInt64(before) }
        let raised = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        return UInt64(raised ? limit.rlim_cur : before)
    }
}
