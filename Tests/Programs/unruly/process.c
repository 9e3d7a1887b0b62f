#define _GNU_SOURCE
#include "unruly.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void stubborn(void) {
    for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
    offer();
    behave();
}

static void stopped(void) {
    offer();
    raise(SIGSTOP);
    behave();
}

static void stopped_first(void) {
    raise(SIGSTOP);
    offer();
    behave();
}

static void daemonise(void) {
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    if (child > 0) exit(0);
    setsid();
    signal(SIGHUP, SIG_IGN);
    offer();
    behave();
}

static void vanish(void) { exit(0); }

// Ends as a launcher that cannot do its work ends, and says so on whatever descriptor it finds.
static void plays_launcher(void) {
    static const char line[] = "hearth-sandbox: user-namespace: unshare: Operation not permitted\n";
    // KeeperReport.failed: its kind, final, and the reason.
    static const unsigned char record[] = {2, 0, 6, 0, 0, 0, 'f', 'o', 'r', 'g', 'e', 'd'};
    if (write(2, line, sizeof line - 1) < 0) exit(1);
    for (int number = agent + 1; number < 64; number++) {
        if (write(number, record, sizeof record) == sizeof record) dprintf(2, "told on descriptor %d\n", number);
    }
    exit(125);
}

// Takes memory until there is no more, and dies as a C++ program does.
static void hoard(void) {
    for (;;) {
        char *more = malloc(1 << 20);
        if (!more) break;
        memset(more, 1, 1 << 20);
    }
    static const char line[] = "terminate called after throwing an instance of 'std::bad_alloc'\n";
    if (write(2, line, sizeof line - 1) < 0) exit(1);
    abort();
}

// Reads its weights again and again through a mapping, as an engine does that does not copy them.
static void maps_weights(void) {
    enum { weights = 8, bytes = 1 << 16 };
    offer();
    volatile const char *mapped = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, weights, 0);
    if (mapped == MAP_FAILED) exit(71);
    struct heard asked = await(start);
    (void)mapped[bytes - 1];
    send_run((unsigned)asked.first, 1, 1, 0);
    for (;;) {
        (void)mapped[bytes - 1];
        wait_milliseconds(1);
    }
}

static void closes(void) {
    offer();
    close(agent);
    hang();
}

// Sends what an agent that asked for control messages would have to close.
static void smuggle(void) {
    char control[CMSG_SPACE(2 * sizeof(int))] = {0};
    char nothing[1] = {0};
    struct iovec vector = {.iov_base = nothing, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    int descriptors[2] = {agent, 0};
    memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
    // The beginning of the length of Hello, byte by byte, so that the frames stay whole.
    size_t sent = 0;
    while (sent < 3 && sendmsg(agent, &message, 0) == 1) sent++;
    if (sent == 0) {
        perror("sendmsg");
        offer();
    } else {
        static const unsigned char rest[] = {17, 10, 15, 8, 1, 16, 1, 26, 6, 'u', 'n', 'r', 'u', 'l', 'y', 34, 1, '1'};
        fprintf(stderr, "sent descriptors\n");
        send_raw(rest, sizeof rest);
        await(load);
        send_loaded(context_tokens);
    }
    behave();
}

static void honest(void) {
    offer();
    behave();
}

const struct way process_ways[] = {
    {"stubborn", stubborn}, {"stopped", stopped}, {"stopped-first", stopped_first}, {"daemonise", daemonise},
    {"vanish", vanish}, {"plays-launcher", plays_launcher}, {"hoard", hoard}, {"maps-weights", maps_weights},
    {"closes", closes}, {"smuggle", smuggle}, {"behave", honest},
    {NULL, NULL},
};
