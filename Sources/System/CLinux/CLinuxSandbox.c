#define _GNU_SOURCE
#include "CLinuxSandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

// Numbers that the oldest headers we build with may lack; the same on every architecture (asm-generic/unistd.h).
#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_fsopen
#define SYS_fsopen 430
#endif
#ifndef SYS_fsconfig
#define SYS_fsconfig 431
#endif
#ifndef SYS_fsmount
#define SYS_fsmount 432
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

pid_t hearth_fork(void) { return fork(); }

int hearth_unshare(int namespaces) { return unshare(namespaces); }

int hearth_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
int hearth_set_parent_death_signal(int signal_number) { return prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0); }
int hearth_set_dumpable(int dumpable) { return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0); }
int hearth_adopt_descendants(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

// Capabilities

int hearth_drop_bounding_set(void) {
    for (int capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        // EINVAL: the kernel has no capability of this number, nor of a higher one.
        return errno == EINVAL && capability > 0 ? 0 : -1;
    }
    return 0;
}

int hearth_lock_securebits(void) {
    return prctl(PR_SET_SECUREBITS, SECURE_ALL_BITS & ~issecure_mask(SECURE_KEEP_CAPS), 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECUREBITS,
                         (SECURE_ALL_BITS & ~issecure_mask(SECURE_KEEP_CAPS)) | SECURE_ALL_LOCKS, 0, 0, 0) == 0
               ? 0
               : -1;
}

int hearth_clear_capabilities(void) {
    // Kernels without ambient capabilities answer EINVAL and have none to clear.
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) return -1;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    return (int)syscall(SYS_capset, &header, none);
}

int hearth_has_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct held[2] = {{0}, {0}};
    if (syscall(SYS_capget, &header, held) != 0) return -1;
    for (int i = 0; i < 2; i++) {
        if (held[i].effective || held[i].permitted || held[i].inheritable) return 1;
    }
    return 0;
}

// Mounts. Only the calls that take descriptors: they need no /proc and no path that a mount could hide.

struct hearth_mount_attributes {
    uint64_t set, clear, propagation, user_namespace;
};
enum {
    hearth_mount_rdonly = 0x1,
    hearth_mount_nosuid = 0x2,
    hearth_mount_nodev = 0x4,
    hearth_mount_noexec = 0x8,
    hearth_at_empty_path = 0x1000,
    hearth_at_recursive = 0x8000,
    hearth_open_tree_clone = 1,
    hearth_move_mount_from_empty = 0x4,
    hearth_move_mount_to_empty = 0x40,
    hearth_fsconfig_set_string = 1,
    hearth_fsconfig_create = 6,
};

int hearth_make_tmpfs(const char *size, const char *inodes, const char *mode) {
    int context = (int)syscall(SYS_fsopen, "tmpfs", 1 /* FSOPEN_CLOEXEC */);
    if (context < 0) return -1;
    int made = -1;
    if (syscall(SYS_fsconfig, context, hearth_fsconfig_set_string, "size", size, 0) == 0 &&
        syscall(SYS_fsconfig, context, hearth_fsconfig_set_string, "nr_inodes", inodes, 0) == 0 &&
        syscall(SYS_fsconfig, context, hearth_fsconfig_set_string, "mode", mode, 0) == 0 &&
        syscall(SYS_fsconfig, context, hearth_fsconfig_create, NULL, NULL, 0) == 0) {
        made = (int)syscall(SYS_fsmount, context, 1 /* FSMOUNT_CLOEXEC */,
                            hearth_mount_nosuid | hearth_mount_nodev | hearth_mount_noexec);
    }
    int reason = errno;
    close(context);
    errno = reason;
    return made;
}

int hearth_clone_tree(int place) {
    // Recursive: a folder with mounts below it, inherited from a stronger namespace, cannot be cloned without them.
    return (int)syscall(
        SYS_open_tree, place, "", AT_EMPTY_PATH | hearth_open_tree_clone | hearth_at_recursive | O_CLOEXEC);
}

int hearth_restrict_mount(int tree, int recursive, int executable, int writable, int devices) {
    struct hearth_mount_attributes attributes = {.set = hearth_mount_nosuid};
    if (!devices) attributes.set |= hearth_mount_nodev;
    if (!writable) attributes.set |= hearth_mount_rdonly;
    if (!executable) attributes.set |= hearth_mount_noexec;
    return (int)syscall(SYS_mount_setattr, tree, "", hearth_at_empty_path | (recursive ? hearth_at_recursive : 0),
                        &attributes, sizeof attributes);
}

int hearth_attach_mount(int tree, int place) {
    return (int)syscall(SYS_move_mount, tree, "", place, "",
                        hearth_move_mount_from_empty | hearth_move_mount_to_empty);
}

int hearth_make_mounts_private(void) { return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL); }

int hearth_enter_root(int root) {
    // Both arguments ".": the old root ends up on top of the new one and is taken off from there (pivot_root(2), NOTES).
    if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return -1;
    if (umount2(".", MNT_DETACH) != 0) return -1;
    return chdir("/");
}

// Landlock. The layout and the bits of every version up to the seventh; the header here may be older than the kernel.

struct hearth_landlock_ruleset_attributes {
    uint64_t files, network, scopes;
};
struct hearth_landlock_path_rule {
    uint64_t allowed;
    int32_t opened;
} __attribute__((packed));

int hearth_landlock_abi(void) { return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* VERSION */); }

int hearth_landlock_ruleset(int abi) {
    // Rights by version: 13 at first, then REFER, TRUNCATE, (network), IOCTL_DEV.
    int rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
    struct hearth_landlock_ruleset_attributes attributes = {.files = (1u << rights) - 1};
    size_t size = sizeof attributes.files;
    if (abi >= 4) {
        attributes.network = 3;  // bind and connect of TCP
        size += sizeof attributes.network;
    }
    if (abi >= 6) {
        attributes.scopes = 3;  // abstract Unix sockets and signals
        size += sizeof attributes.scopes;
    }
    return (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
}

int hearth_landlock_allow(int ruleset, int opened, uint64_t rights) {
    struct hearth_landlock_path_rule rule = {.allowed = rights, .opened = opened};
    return (int)syscall(SYS_landlock_add_rule, ruleset, 1 /* PATH_BENEATH */, &rule, 0);
}

int hearth_landlock_restrict(int ruleset, int abi) {
    // LOG_SAME_EXEC_OFF, LOG_SUBDOMAINS_OFF: from version 7 denials go to the audit log unless told otherwise.
    return (int)syscall(SYS_landlock_restrict_self, ruleset, abi >= 7 ? 1 << 0 | 1 << 2 : 0);
}

int hearth_set_limit(uint32_t resource, uint64_t value) {
    struct rlimit limit;
    if (getrlimit((int)resource, &limit) != 0) return -1;
    if (value > limit.rlim_max) value = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max = value;
    return setrlimit((int)resource, &limit);
}

int hearth_execute(int descriptor, char *const arguments[], char *const environment[]) {
    return (int)syscall(SYS_execveat, descriptor, "", arguments, environment, hearth_at_empty_path);
}

int hearth_close_range(unsigned first, unsigned last) { return (int)syscall(SYS_close_range, first, last, 0); }

int hearth_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int hearth_pidfd_signal(int pidfd, int signal_number) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0);
}

int hearth_child_signals(void) {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &children, NULL) != 0) return -1;
    return signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
}

int hearth_unblock_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

int hearth_executable_memfd(const char *name) {
    int made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x10 /* MFD_EXEC, from Linux 6.3 */);
    if (made < 0 && errno == EINVAL) made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return made;
}

int hearth_is_sealed(int descriptor) {
    int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0) return -1;
    int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    return (seals & all) == all;
}

// linux/openat2.h, which older headers lack.
struct hearth_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

int hearth_open_resolved(int folder, const char *path, int flags, int beneath) {
    const uint64_t no_magic_links = 0x02, no_links = 0x04, below = 0x08;
    struct hearth_open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .resolve = no_magic_links | (beneath ? below : no_links)};
    int opened;
    // EAGAIN: something on the way was renamed meanwhile, so that it cannot be told whether it led out.
    for (int attempts = 0; attempts < 100; attempts++) {
        opened = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
        if (opened >= 0 || errno != EAGAIN) break;
    }
    return opened;
}

ssize_t hearth_get_attribute(const char *path, const char *name, void *bytes, size_t count) {
    return getxattr(path, name, bytes, count);
}

int hearth_set_attribute(const char *path, const char *name, const void *bytes, size_t count) {
    return setxattr(path, name, bytes, count, 0);
}

int hearth_remove_attribute(const char *path, const char *name) { return removexattr(path, name); }
