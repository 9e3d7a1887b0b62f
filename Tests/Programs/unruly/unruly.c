// A backend that breaks its contract in one way, which its file name tells: copied into a backends folder as
// `unruly-huge`, it announces a frame of two gigabytes. Without a way it names them all.
//
// It needs no file, no library and no system call that the policy `strict` denies, but for those that it is there to
// try.
#include "unruly.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct way *const kinds[] = {
    frame_ways, message_ways, order_ways, lie_ways, amount_ways, process_ways, clause_ways,
};
enum { kinds_count = sizeof kinds / sizeof *kinds };

int main(int argc, char **argv) {
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
    name = name ? name + 1 : argc > 0 ? argv[0] : "";
    const char *wanted = strchr(name, '-');
    // A write to a socket that the agent has closed is to fail, not to kill.
    signal(SIGPIPE, SIG_IGN);
    for (size_t kind = 0; wanted && kind < kinds_count; kind++) {
        for (const struct way *way = kinds[kind]; way->name; way++) {
            if (!strcmp(way->name, wanted + 1)) way->run();
        }
    }
    fprintf(stderr, "%s: name me unruly-WAY, with one of these ways:", name);
    for (size_t kind = 0; kind < kinds_count; kind++) {
        for (const struct way *way = kinds[kind]; way->name; way++) fprintf(stderr, " %s", way->name);
    }
    fprintf(stderr, "\n");
    return 64;
}
