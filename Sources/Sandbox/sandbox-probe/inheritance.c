#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int use_leaked_file(void) { return holds_secret(offered_number("leaked-file")); }

static int use_leaked_folder(void) {
    return holds_secret(openat(offered_number("leaked-folder"), "secret", O_RDONLY));
}

// The other end of a pair whose end is an honest program's.
static int use_leaked_socket(void) { return write(offered_number("leaked-socket"), "x", 1) == 1 ? 0 : -1; }

// Shows the owner what the owner did not ask for.
static int write_to_leaked_terminal(void) { return write(offered_number("terminal"), "x", 1) == 1 ? 0 : -1; }

static int open_terminal(void) {
    int terminal = open(offer("terminal-path"), O_RDWR | O_NOCTTY);
    return terminal >= 0 && write(terminal, "x", 1) == 1 ? 0 : -1;
}

// Any but the streams, the socket and the weights.
static int find_descriptors(void) {
    for (int descriptor = 4; descriptor < 1024; descriptor++) {
        if (descriptor == offered_number("model-descriptor")) continue;
        if (fcntl(descriptor, F_GETFD) >= 0) return 0;
    }
    return refused(EBADF);
}

static int duplicate(void) { return dup(1) >= 0 ? 0 : -1; }

static int read_secret_variable(void) {
    const char *value = getenv("HEARTH_PROBE_SECRET");
    return value && strcmp(value, secret) == 0 ? 0 : refused(ENOENT);
}

static int use_inherited_folder(void) {
    DIR *folder = opendir(".");
    if (!folder) return -1;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) return 0;
    }
    return refused(ENOENT);
}

static int raise_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return -1;
    // Where not even the hard limit lets a core be written there is nothing to gain.
    if (limit.rlim_max < 1 << 20) return refused(EPERM);
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_CORE, &limit);
}

// A message whose ancillary part has room for one descriptor (cmsg(3)).
union ancillary {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

// One has been sent to it: it waits in the socket.
static int receive_descriptor(void) {
    char byte;
    struct iovec bytes = {&byte, 1};
    union ancillary ancillary;
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
    if (recvmsg(3, &message, 0) < 0) return -1;
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (!first || first->cmsg_type != SCM_RIGHTS) return refused(ENODATA);
    int received;
    memcpy(&received, CMSG_DATA(first), sizeof received);
    return holds_secret(received);
}

static int send_descriptor(void) {
    struct iovec bytes = {"x", 1};
    union ancillary ancillary = {
        .head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
    int sent = 0;
    memcpy(CMSG_DATA(&ancillary.head), &sent, sizeof sent);
    return sendmsg(3, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

// The kernel would signal the victim whenever there is something to read.
static int own_descriptor_signals(void) {
    int victim = offered_number("victim");
    return fcntl(3, F_SETOWN, victim) == 0 && fcntl(3, F_GETOWN) == victim ? 0 : -1;
}

const struct act inheritance_acts[] = {
    {"use-leaked-file", "reads a file that the agent had open", use_leaked_file},
    {"use-leaked-folder", "leaves its root by way of a folder that the agent had open", use_leaked_folder},
    {"use-leaked-socket", "speaks in the agent's name on one of its connections", use_leaked_socket},
    {"write-to-leaked-terminal", "writes on the owner's terminal", write_to_leaked_terminal},
    {"open-terminal", "opens the owner's terminal", open_terminal},
    {"find-descriptors", "has a descriptor that was not meant for it", find_descriptors},
    {"duplicate", "makes descriptors under numbers that a filter does not expect", duplicate},
    {"read-secret-variable", "reads the agent's environment, where keys often are", read_secret_variable},
    {"use-inherited-folder", "learns what the folder that the agent runs in holds", use_inherited_folder},
    {"raise-limits", "raises its own limits, such as that on core files", raise_limits},
    {"receive-descriptor", "takes descriptors that are sent to it", receive_descriptor},
    {"send-descriptor", "fills the agent's table of descriptors", send_descriptor},
    {"own-descriptor-signals", "has the kernel signal another process for it", own_descriptor_signals},
    {0, 0, 0},
};
