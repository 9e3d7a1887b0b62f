// The acts that a sandbox must stop, and what they share.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Returns 0 only when the attacker has what it wanted; otherwise -1, with errno where there is one.
struct act {
    const char *name;
    // What success would mean for the owner of the machine.
    const char *meaning;
    int (*run)(void);
};

// Each ends with an act without a name.
extern const struct act file_acts[], network_acts[], process_acts[], execution_acts[], kernel_acts[], memory_acts[],
    inheritance_acts[];

// What the machine has on offer under a name; empty or 0 when nothing.
const char *offer(const char *key);
int offered_number(const char *key);
uint64_t offered_address(const char *key);
// What every secret on offer begins with.
extern const char secret[];

// -1, with this reason.
int refused(int reason);
// Whether the memory, or a descriptor read from its start, begins with the secret. The descriptor may be negative, as a
// call that failed left it; it is closed.
int is_secret(const char *bytes, size_t count);
int holds_secret(int descriptor);
// Whether a file can be read and contains the text.
int file_contains(const char *path, const char *text);
// A path in the writable folder on offer; each act uses a name of its own, and takes away what it made.
const char *path_in_folder(const char *name);

// How a child says that it ran; and whether this one, whose number may be negative, did and said so.
#define CHILD_RAN 42
int child_ran(pid_t child);
// Whether this process has every capability in its user namespace.
int has_capabilities(void);
// In a new user namespace together with others (CLONE_*).
int enter_namespaces(int flags);

// Writes the smallest program there is, whose exit status is 0.
int write_program(int descriptor);
// Machine code of a function that returns 42, and whether it does so where it was put.
extern const unsigned char code[];
extern const size_t code_bytes;
int code_runs(void *place);

// One operation through io_uring(7): its result, or -1 and errno. An operation of io_uring_enter(2)'s table.
struct io_uring_sqe;
int through_ring(const struct io_uring_sqe *operation);

// Another process of the same user, with everything that an attacker might want of it. Ends with its standard input.
int bystander(void);
