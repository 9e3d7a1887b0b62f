// System calls that Swift's Glibc module does not import, or imports as variadics. Only LinuxSystem includes this.
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "CLinuxSignals.h"

#include "CLinuxPoll.h"
#include "CLinuxSandbox.h"
#include "CLinuxSpawn.h"

// epoll(7), eventfd(2). `epoll_event` is packed on x86-64, so it is passed field by field.
int hearth_epoll_create(void);
int hearth_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data);
int hearth_epoll_wait(int epoll, uint32_t *events, uint64_t *data, int capacity, int timeout_milliseconds);
int hearth_eventfd(void);

// memfd_create(2), fcntl(2) F_ADD_SEALS: all seals.
int hearth_memfd_create(const char *name);
int hearth_seal(int descriptor);

// accept4(2) with SOCK_CLOEXEC | SOCK_NONBLOCK.
int hearth_accept(int descriptor);

// unix(7), SO_PEERCRED: the user who connected the other end of a Unix socket. 0, or -1 and errno.
int hearth_peer_user(int descriptor, uint32_t *user);

// sendmsg(2) and recvmsg(2) of one datagram with descriptors (unix(7), SCM_RIGHTS), of which the kernel takes at most
// HEARTH_DESCRIPTORS_MAX. Received ones are close-on-exec, and all that came are handed over, also with a datagram that was
// cut short: `is_cut` is 1 then, or when the kernel left descriptors out (MSG_TRUNC, MSG_CTRUNC). -1 and errno on failure.
#define HEARTH_DESCRIPTORS_MAX 253
ssize_t hearth_send_descriptors(
    int socket, const void *head, size_t head_count, const void *bytes, size_t count, const int *descriptors,
    uint32_t descriptor_count, int flags);
ssize_t hearth_receive_descriptors(
    int socket, void *bytes, size_t capacity, int *descriptors, uint32_t *descriptor_count, int *is_cut);

// fcntl(2) F_GETFL/F_SETFL.
int hearth_set_nonblocking(int descriptor, int nonblocking);

// unix(7): fills a sockaddr_storage. Neither type is named here: a type of the C library must come to Swift from one
// module only, or which one it comes from depends on the order of compilation.
int hearth_unix_address(const char *path, void *address, uint32_t *length);

// The highest level of x86-64 (System V ABI, section 3.1.1) whose instructions this processor and kernel offer, 1 to 4; 0 on
// another architecture.
int hearth_processor_level(void);

// malloc_trim(3): gives the system what was freed, of all arenas.
void hearth_trim_memory(void);

// clock_gettime(2), CLOCK_MONOTONIC, in nanoseconds.
uint64_t hearth_awake_nanoseconds(void);

// dup3(2) with O_CLOEXEC: `descriptor` becomes another number for what `other` is, and what it was is closed.
int hearth_replace_descriptor(int descriptor, int other);

// pipe2(2) with O_CLOEXEC.
int hearth_pipe(int ends[2]);

// renameat2(2) with RENAME_NOREPLACE. 0, or -1 and errno.
int hearth_rename_without_replacing(int old_folder, const char *old_name, int new_folder, const char *new_name);
