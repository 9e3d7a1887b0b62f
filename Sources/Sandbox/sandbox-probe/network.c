#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_alg.h>
#include <linux/inet_diag.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct sockaddr_in loopback4(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)offered_number(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static struct sockaddr_in6 loopback6(const char *port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)offered_number(port))};
    address.sin6_addr = in6addr_loopback;
    return address;
}

// Internet

static int connects4(int protocol) {
    struct sockaddr_in address = loopback4("tcp4");
    int made = socket(AF_INET, SOCK_STREAM, protocol);
    if (made < 0 || connect(made, (struct sockaddr *)&address, sizeof address) != 0) return -1;
    return send(made, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int connect_ipv4(void) { return connects4(0); }
static int connect_multipath(void) { return connects4(IPPROTO_MPTCP); }

static int connect_ipv6(void) {
    struct sockaddr_in6 address = loopback6("tcp6");
    int made = socket(AF_INET6, SOCK_STREAM, 0);
    return made < 0 ? -1 : connect(made, (struct sockaddr *)&address, sizeof address);
}

// An IPv4 address in IPv6's clothes.
static int connect_mapped(void) {
    struct sockaddr_in6 address = loopback6("tcp4");
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
    int made = socket(AF_INET6, SOCK_STREAM, 0);
    return made < 0 ? -1 : connect(made, (struct sockaddr *)&address, sizeof address);
}

static int connect_fast_open(void) {
    struct sockaddr_in address = loopback4("tcp4");
    int made = socket(AF_INET, SOCK_STREAM, 0);
    if (made < 0) return -1;
    return sendto(made, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address) == 1 ? 0 : -1;
}

static int connect_through_ring(void) {
    struct io_uring_sqe make = {.opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM};
    int made = through_ring(&make);
    struct sockaddr_in address = loopback4("tcp4");
    struct io_uring_sqe join = {
        .opcode = IORING_OP_CONNECT, .fd = made, .addr = (uint64_t)(uintptr_t)&address, .off = sizeof address};
    return made < 0 ? -1 : through_ring(&join);
}

static int sends_datagram(int family, const struct sockaddr *address, socklen_t length) {
    int made = socket(family, SOCK_DGRAM, 0);
    return made >= 0 && sendto(made, "x", 1, 0, address, length) == 1 ? 0 : -1;
}

static int send_udp(void) {
    struct sockaddr_in address = loopback4("udp4");
    return sends_datagram(AF_INET, (struct sockaddr *)&address, sizeof address);
}

static int send_udp6(void) {
    struct sockaddr_in6 address = loopback6("udp6");
    return sends_datagram(AF_INET6, (struct sockaddr *)&address, sizeof address);
}

static int send_several_udp(void) {
    struct sockaddr_in address = loopback4("udp4");
    struct iovec bytes = {"x", 1};
    struct mmsghdr message = {.msg_hdr = {&address, sizeof address, &bytes, 1, NULL, 0, 0}};
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    return made >= 0 && sendmmsg(made, &message, 1, 0) == 1 ? 0 : -1;
}

// Whether a connection to this listening socket comes about.
static int is_reached(int listening, int family) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(listening, (struct sockaddr *)&address, &length) != 0) return -1;
    int made = socket(family, SOCK_STREAM, 0);
    return made < 0 ? -1 : connect(made, (struct sockaddr *)&address, length);
}

static int listen_ipv4(void) {
    struct sockaddr_in address = loopback4("");
    int made = socket(AF_INET, SOCK_STREAM, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&address, sizeof address) != 0 || listen(made, 1) != 0) return -1;
    return is_reached(made, AF_INET);
}

static int listen_ipv6(void) {
    struct sockaddr_in6 address = loopback6("");
    int made = socket(AF_INET6, SOCK_STREAM, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&address, sizeof address) != 0 || listen(made, 1) != 0) return -1;
    return is_reached(made, AF_INET6);
}

// listen(2) chooses a port for a socket that has none.
static int listen_without_address(void) {
    int made = socket(AF_INET, SOCK_STREAM, 0);
    return made < 0 || listen(made, 1) != 0 ? -1 : is_reached(made, AF_INET);
}

static int bind_udp(void) {
    struct sockaddr_in address = loopback4("");
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t length = sizeof address;
    if (made < 0 || bind(made, (struct sockaddr *)&address, length) != 0) return -1;
    // Reached by itself: without a network there is no loopback either.
    if (getsockname(made, (struct sockaddr *)&address, &length) != 0) return -1;
    return sends_datagram(AF_INET, (struct sockaddr *)&address, length);
}

// Unix sockets

static socklen_t local_address(struct sockaddr_un *address, const char *name, int is_abstract) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path + is_abstract, sizeof address->sun_path - 1, "%s", name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)is_abstract + strlen(name));
}

static int reaches_local(const char *key, int kind, int is_abstract) {
    struct sockaddr_un address;
    socklen_t length = local_address(&address, offer(key), is_abstract);
    if (!*offer(key)) return refused(ENOENT);
    int made = socket(AF_UNIX, kind, 0);
    if (made < 0) return -1;
    if (kind == SOCK_STREAM) return connect(made, (struct sockaddr *)&address, length);
    return sendto(made, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, length) == 1 || errno == EAGAIN ? 0 : -1;
}

static int connect_unix(void) { return reaches_local("stream", SOCK_STREAM, 0); }
static int connect_unix_abstract(void) { return reaches_local("abstract-stream", SOCK_STREAM, 1); }
static int send_unix(void) { return reaches_local("datagram", SOCK_DGRAM, 0); }
static int send_unix_abstract(void) { return reaches_local("abstract-datagram", SOCK_DGRAM, 1); }

static int listen_unix(void) {
    struct sockaddr_un address;
    const char *path = path_in_folder("socket");
    socklen_t length = local_address(&address, path, 0);
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&address, length) != 0 || listen(made, 1) != 0) return -1;
    return unlink(path);
}

static int make_socket_pair(void) {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

// The kernel's own network

// Sends one netlink request and looks through the answers for a message of the type whose body satisfies `wanted`.
static int netlink_answers(
    int protocol, struct nlmsghdr *request, int type, int (*wanted)(struct nlmsghdr *)
) {
    int made = socket(AF_NETLINK, SOCK_RAW, protocol);
    if (made < 0 || send(made, request, request->nlmsg_len, 0) < 0) return -1;
    static char bytes[64 << 10];
    for (int reads = 0; reads < 64; reads++) {
        ssize_t count = recv(made, bytes, sizeof bytes, 0);
        if (count <= 0) return -1;
        size_t rest = (size_t)count;
        for (struct nlmsghdr *message = (struct nlmsghdr *)bytes; NLMSG_OK(message, rest);
             message = NLMSG_NEXT(message, rest)) {
            if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) return refused(ENODATA);
            if (message->nlmsg_type == type && wanted(message) == 0) return 0;
        }
    }
    return refused(ENODATA);
}

static int is_up(struct nlmsghdr *message) {
    struct ifinfomsg *interface = NLMSG_DATA(message);
    // An empty network has a loopback too, but down.
    return interface->ifi_flags & IFF_UP ? 0 : -1;
}

static int list_interfaces(void) {
    struct {
        struct nlmsghdr head;
        struct ifinfomsg body;
    } request = {.head = {sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}};
    return netlink_answers(NETLINK_ROUTE, &request.head, RTM_NEWLINK, is_up);
}

static int is_offered(struct nlmsghdr *message) {
    struct inet_diag_msg *found = NLMSG_DATA(message);
    return ntohs(found->id.idiag_sport) == offered_number("tcp4") ? 0 : -1;
}

static int list_sockets(void) {
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } request = {.head = {sizeof request, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
                 .body = {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = UINT32_MAX}};
    return netlink_answers(NETLINK_SOCK_DIAG, &request.head, SOCK_DIAG_BY_FAMILY, is_offered);
}

static int read_sockets(void) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "0100007F:%04X", (unsigned)offered_number("tcp4"));
    return file_contains("/proc/net/tcp", wanted);
}

static int list_addresses(void) {
    struct ifreq found[16];
    struct ifconf request = {.ifc_len = sizeof found, .ifc_req = found};
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    if (made < 0 || ioctl(made, SIOCGIFCONF, &request) != 0) return -1;
    return request.ifc_len > 0 ? 0 : refused(ENODATA);
}

static int listen_vsock(void) {
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = VMADDR_PORT_ANY, .svm_cid = VMADDR_CID_ANY};
    int made = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&address, sizeof address) != 0) return -1;
    return listen(made, 1);
}

static int capture_packets(void) { return socket(AF_PACKET, SOCK_RAW, htons(3 /* all */)) >= 0 ? 0 : -1; }
static int send_raw(void) { return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0 ? 0 : -1; }
static int send_ping(void) { return socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0 ? 0 : -1; }

static int use_kernel_ciphers(void) {
    struct sockaddr_alg address = {.salg_family = AF_ALG, .salg_type = "hash", .salg_name = "sha256"};
    int made = socket(AF_ALG, SOCK_SEQPACKET, 0);
    return made < 0 ? -1 : bind(made, (struct sockaddr *)&address, sizeof address);
}

// Families that few programs use, and whose code few people have read.
static int open_rare_family(void) {
    static const int families[] = {AF_AX25, AF_IPX,  AF_APPLETALK, AF_X25,  AF_RDS, AF_CAN,
                                   AF_TIPC, AF_BLUETOOTH, AF_PHONET,    AF_NFC, AF_KCM, AF_QIPCRTR,
                                   AF_SMC,  AF_XDP};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (int kind = SOCK_STREAM; kind <= SOCK_SEQPACKET; kind++) {
            if (socket(families[i], kind, 0) >= 0) return 0;
        }
    }
    return -1;
}

const struct act network_acts[] = {
    {"connect-ipv4", "reaches the machine's own services, and the Internet", connect_ipv4},
    {"connect-ipv6", "reaches them over IPv6", connect_ipv6},
    {"connect-mapped", "reaches IPv4 through an IPv6 socket", connect_mapped},
    {"connect-multipath", "reaches them over MPTCP, which filters for TCP miss", connect_multipath},
    {"connect-fast-open", "reaches them by sending with the first packet, without connect(2)", connect_fast_open},
    {"connect-through-ring", "reaches them through io_uring, where no filter sees the call", connect_through_ring},
    {"send-udp", "sends datagrams", send_udp},
    {"send-udp6", "sends datagrams over IPv6", send_udp6},
    {"send-several-udp", "sends datagrams through the call that sends many", send_several_udp},
    {"listen-ipv4", "offers a service in the owner's name", listen_ipv4},
    {"listen-ipv6", "offers a service over IPv6", listen_ipv6},
    {"listen-without-address", "offers a service without bind(2)", listen_without_address},
    {"bind-udp", "receives datagrams", bind_udp},
    {"connect-unix", "reaches a program of the owner through its socket's path", connect_unix},
    {"connect-unix-abstract", "reaches one through an abstract name, which no file's mode protects",
     connect_unix_abstract},
    {"send-unix", "sends a datagram to a socket's path", send_unix},
    {"send-unix-abstract", "sends a datagram to an abstract name", send_unix_abstract},
    {"listen-unix", "offers a service to the owner's programs", listen_unix},
    {"make-socket-pair", "makes sockets over which descriptors can travel", make_socket_pair},
    {"list-interfaces", "learns the machine's networks, through netlink", list_interfaces},
    {"list-addresses", "learns the machine's addresses", list_addresses},
    {"list-sockets", "learns what the machine is connected to, through netlink", list_sockets},
    {"read-sockets", "learns the same from /proc/net", read_sockets},
    {"listen-vsock", "is reached from the virtual machine's host", listen_vsock},
    {"capture-packets", "sees and forges every packet", capture_packets},
    {"send-raw", "forges IP packets", send_raw},
    {"send-ping", "sends pings", send_ping},
    {"use-kernel-ciphers", "reaches the kernel's ciphers (AF_ALG)", use_kernel_ciphers},
    {"open-rare-family", "reaches protocols whose code few people have read", open_rare_family},
    {0, 0, 0},
};
