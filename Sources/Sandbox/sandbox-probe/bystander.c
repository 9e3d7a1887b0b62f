#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

// What lies in the memory that others may want to read, and to write.
static char kept[64], scratch[64];

// What it listens on. Whoever connects is let in and left, so that no queue fills.
static struct pollfd listening[16] = {{.fd = 0, .events = POLLIN}};
static nfds_t listening_count = 1;

static void serve(int descriptor) {
    if (listening_count == sizeof listening / sizeof listening[0]) return;
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    listening[listening_count++] = (struct pollfd){.fd = descriptor, .events = POLLIN};
}

static const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", offer("folder"), name);
    return path;
}

static int put_file(const char *name, const void *bytes, size_t count) {
    int made = open(in_folder(name), O_CREAT | O_RDWR | O_TRUNC, 0600);
    if (made < 0 || write(made, bytes, count) != (ssize_t)count) return -1;
    printf("%s=%s\n", name, in_folder(name));
    return made;
}

// Listens, and prints the port.
static void offer_port(const char *name, int family, int kind) {
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address = {0};
    address.any.sa_family = (sa_family_t)family;
    if (family == AF_INET) address.four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else address.six.sin6_addr = in6addr_loopback;
    socklen_t length = family == AF_INET ? sizeof address.four : sizeof address.six;
    int made = socket(family, kind, 0);
    // A machine without IPv6 leaves it out, and those acts prove nothing there.
    if (made < 0 || bind(made, &address.any, length) != 0) return;
    if (kind == SOCK_STREAM && listen(made, 64) != 0) return;
    serve(made);
    getsockname(made, &address.any, &length);
    printf("%s=%d\n", name, ntohs(family == AF_INET ? address.four.sin_port : address.six.sin6_port));
}

// Listens at a path, or under an abstract name.
static void offer_local(const char *name, int kind, int is_abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *place = address.sun_path + is_abstract;
    size_t room = sizeof address.sun_path - 1;
    if (is_abstract) snprintf(place, room, "hearth-probe-%s-%d", name, (int)getpid());
    else snprintf(place, room, "%s", in_folder(name));
    int made = socket(AF_UNIX, kind, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)is_abstract + strlen(place));
    if (made < 0 || bind(made, (struct sockaddr *)&address, length) != 0) return;
    if (kind == SOCK_STREAM && listen(made, 64) != 0) return;
    serve(made);
    printf("%s=%s\n", name, place);
}

static char queue_name[64];
static long key = -1;

static void offer_messages(void) {
    int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    char *attached = segment < 0 ? NULL : shmat(segment, NULL, 0);
    if (attached && attached != (void *)-1) {
        memcpy(attached, secret, strlen(secret));
        // Gone with this process, and attachable until then.
        shmctl(segment, IPC_RMID, NULL);
        printf("segment=%d\n", segment);
    }
    snprintf(queue_name, sizeof queue_name, "/hearth-probe-%d", (int)getpid());
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 64};
    mqd_t queue = mq_open(queue_name, O_CREAT | O_RDWR, 0600, &attributes);
    if (queue >= 0 && mq_send(queue, secret, strlen(secret), 0) == 0) printf("queue=%s\n", queue_name);
    char description[64];
    snprintf(description, sizeof description, "hearth-probe-%d", (int)getpid());
    key = syscall(SYS_add_key, "user", description, secret, strlen(secret), KEY_SPEC_USER_KEYRING);
    // Every right for the user, as a session without a keyring of its own has it.
    if (key >= 0 && syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x3f3f0000) == 0) printf("key=%s\n", description);
}

// A terminal without line discipline, so that what is pushed into it can be counted.
static void offer_terminal(void) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) return;
    int inner = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    struct termios modes;
    if (inner < 0 || tcgetattr(inner, &modes) != 0) return;
    cfmakeraw(&modes);
    if (tcsetattr(inner, TCSANOW, &modes) == 0) printf("terminal-path=%s\n", ptsname(terminal));
}

// A process in a user namespace that its owner may enter, and have every capability in.
static pid_t offer_namespaces(void) {
    int ready[2];
    if (pipe(ready) != 0) return -1;
    fflush(stdout);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        if (enter_namespaces(CLONE_NEWNET) != 0) _exit(1);
        // Afterwards: new credentials take it back (prctl(2)).
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || write(ready[1], "x", 1) != 1) _exit(1);
        close(ready[1]);
        for (;;) pause();
    }
    close(ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) == 1) printf("namespaced=%d\n", (int)child);
    close(ready[0]);
    return child;
}

// Until the end of its standard input.
static void wait_for_end(void) {
    char bytes[256];
    for (;;) {
        if (poll(listening, listening_count, -1) < 0) continue;
        if (listening[0].revents && read(0, bytes, sizeof bytes) <= 0) return;
        for (nfds_t i = 1; i < listening_count; i++) {
            if (!listening[i].revents) continue;
            int taken = accept(listening[i].fd, NULL, NULL);
            // One that takes no connections takes datagrams.
            if (taken >= 0) close(taken);
            else recv(listening[i].fd, bytes, sizeof bytes, 0);
        }
    }
}

static void ignore(int signal_number) { (void)signal_number; }

int bystander(void) {
    // What is sent to it by an act must not end it.
    signal(SIGUSR1, ignore);
    signal(SIGIO, ignore);
    // Yama keeps strangers from tracing, unless it was allowed: the sandbox must stop it, not a setting (ptrace(2)).
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    memcpy(kept, secret, strlen(secret));
    int file = put_file("secret", secret, strlen(secret));
    char weights[4096] = {0};
    memcpy(weights, code, code_bytes);
    int model = put_file("model", weights, sizeof weights);
    if (file < 0 || model < 0) return 1;
    // One that is open for writing cannot be leased.
    close(model);
    printf("folder=%s\n", offer("folder"));
    struct utsname names;
    if (uname(&names) == 0) printf("host-name=%s\n", names.nodename);
    unlink(in_folder("link"));
    if (symlink(offer("folder"), in_folder("link")) == 0) printf("link=%s\n", in_folder("link"));
    printf("victim=%d\nsecret-address=%p\nscratch-address=%p\nsecret-descriptor=%d\n", (int)getpid(), (void *)kept,
           (void *)scratch, file);
    offer_port("tcp4", AF_INET, SOCK_STREAM);
    offer_port("tcp6", AF_INET6, SOCK_STREAM);
    offer_port("udp4", AF_INET, SOCK_DGRAM);
    offer_port("udp6", AF_INET6, SOCK_DGRAM);
    offer_local("stream", SOCK_STREAM, 0);
    offer_local("datagram", SOCK_DGRAM, 0);
    offer_local("abstract-stream", SOCK_STREAM, 1);
    offer_local("abstract-datagram", SOCK_DGRAM, 1);
    offer_messages();
    offer_terminal();
    pid_t namespaced = offer_namespaces();
    printf("\n");
    fflush(stdout);
    wait_for_end();
    if (queue_name[0]) mq_unlink(queue_name);
    if (key >= 0) syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
    if (namespaced > 0) kill(namespaced, SIGKILL);
    return 0;
}
