extension Stage {
    /// A policy that lets nearly everything pass, so that what is still refused was refused by another layer.
    static var permissivePolicy: String {
        let names = permitted.split(whereSeparator: \.isWhitespace).map { "\"\($0)\"" }.joined(separator: ", ")
        return """
            {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
             "syscalls": [{"comment": "Everything that the probe tries.", "action": "SCMP_ACT_ALLOW",
                           "names": [\(names)]}]}
            """
    }

    private static let permitted = """
        accept access add_key arch_prctl bind bpf brk chdir chroot clock_gettime clock_nanosleep clone clone3 close
        connect dup execve execveat exit exit_group fcntl fork fstat futex getdents64 getegid geteuid getgid
        getpgid getpid getppid getrandom getrlimit getsid gettid getuid inotify_add_watch inotify_init1 io_uring_setup
        kill lgetxattr listen lseek lstat madvise memfd_create mlockall mmap mkdir mount mprotect mremap msgget munmap
        nanosleep newfstatat open openat open_tree pause perf_event_open personality pidfd_open poll ppoll prctl
        prlimit64 process_vm_readv ptrace read readlink readlinkat rseq rt_sigaction rt_sigprocmask rt_sigreturn
        sendto set_robust_list set_tid_address setpriority shmget sigaltstack socket socketpair stat tgkill uname
        unlink unshare userfaultfd vfork wait4 write writev
        """
}
