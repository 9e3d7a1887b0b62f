// System calls of the launcher and of those who start it. Each returns a negative value and sets errno on failure.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// fork(2). Only for a process with one thread.
pid_t hearth_fork(void);

// unshare(2) with CLONE_NEW… flags.
int hearth_unshare(int namespaces);

// prctl(2).
int hearth_set_no_new_privileges(void);
int hearth_set_parent_death_signal(int signal_number);
int hearth_set_dumpable(int dumpable);
int hearth_adopt_descendants(void);

// capabilities(7): empties the bounding and ambient sets, locks securebits, empties the thread's own sets.
int hearth_drop_bounding_set(void);
int hearth_lock_securebits(void);
int hearth_clear_capabilities(void);
// 1 if the thread has any capability, permitted, inheritable or ambient; 0 if none.
int hearth_has_capabilities(void);

// fsopen(2) and its family; open_tree(2), mount_setattr(2), move_mount(2), pivot_root(2).
int hearth_make_tmpfs(const char *size, const char *inodes, const char *mode);
int hearth_clone_tree(int place);
int hearth_restrict_mount(int tree, int recursive, int executable, int writable, int devices);
int hearth_attach_mount(int tree, int place);
int hearth_make_mounts_private(void);
int hearth_enter_root(int root);

// landlock(7). `hearth_landlock_abi` gives 0 or less where there is none.
int hearth_landlock_abi(void);
int hearth_landlock_ruleset(int abi);
int hearth_landlock_allow(int ruleset, int opened, uint64_t rights);
int hearth_landlock_restrict(int ruleset, int abi);

// setrlimit(2); a value above the hard limit in force is lowered to it.
int hearth_set_limit(uint32_t resource, uint64_t value);

// execveat(2) of the descriptor itself, which works without /proc.
int hearth_execute(int descriptor, char *const arguments[], char *const environment[]);

// close_range(2), both inclusive.
int hearth_close_range(unsigned first, unsigned last);

// pidfd_open(2), pidfd_send_signal(2).
int hearth_pidfd_open(pid_t pid);
int hearth_pidfd_signal(int pidfd, int signal_number);

// signalfd(2) for SIGCHLD, which it also blocks; and the opposite for a child: an empty mask.
int hearth_child_signals(void);
int hearth_unblock_signals(void);

// memfd_create(2) of a file that may be executed, whatever vm.memfd_noexec says by default.
int hearth_executable_memfd(const char *name);
// fcntl(2) F_GET_SEALS: 1 if nothing can change the memory file any more, 0 if something can.
int hearth_is_sealed(int descriptor);

// openat2(2), close-on-exec: `beneath` 1 refuses, with EXDEV, a path that leads out of the folder, by ".." or by a link;
// 0 refuses, with ELOOP, a path with any link.
int hearth_open_resolved(int folder, const char *path, int flags, int beneath);

// getxattr(2), setxattr(2), removexattr(2).
ssize_t hearth_get_attribute(const char *path, const char *name, void *bytes, size_t count);
int hearth_set_attribute(const char *path, const char *name, const void *bytes, size_t count);
int hearth_remove_attribute(const char *path, const char *name);
