#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

// Numbers that older headers lack; the same on every architecture.
#define SYS_FCHMODAT2 452
#define SYS_LISTMOUNT 458

// Reading what is not its own

static int open_home(void) { return holds_secret(open(offer("secret"), O_RDONLY)); }

static int open_home_by_first_call(void) {
#ifdef SYS_open
    return holds_secret((int)syscall(SYS_open, offer("secret"), O_RDONLY));
#else
    return refused(ENOSYS);
#endif
}

static int open_home_by_newest_call(void) {
    struct open_how how = {.flags = O_RDONLY};
    return holds_secret((int)syscall(SYS_openat2, AT_FDCWD, offer("secret"), &how, sizeof how));
}

static int open_home_after(const char *start) {
    char path[1024];
    snprintf(path, sizeof path, "%s%s", start, offer("secret"));
    return holds_secret(open(path, O_RDONLY));
}

static int open_home_by_dots(void) { return open_home_after("../../../../../../../../../../../../.."); }
static int open_home_by_root_link(void) { return open_home_after("/proc/self/root"); }
static int open_home_by_folder_link(void) { return open_home_after("/proc/self/cwd/../../../../../../../../../../.."); }

static int open_home_by_link(void) {
    char path[1024];
    snprintf(path, sizeof path, "%s/secret", offer("link"));
    return holds_secret(open(path, O_RDONLY));
}

static int open_home_by_handle(void) {
    struct {
        struct file_handle head;
        unsigned char rest[MAX_HANDLE_SZ];
    } handle = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount;
    if (name_to_handle_at(AT_FDCWD, offer("secret"), &handle.head, &mount, 0) != 0) return -1;
    int folder = open(offer("folder"), O_RDONLY | O_DIRECTORY);
    return folder < 0 ? -1 : holds_secret(open_by_handle_at(folder, &handle.head, O_RDONLY));
}

static int read_passwd(void) { return file_contains("/etc/passwd", "root:"); }
static int read_machine_id(void) { return file_contains("/etc/machine-id", "\n"); }
static int read_boot_id(void) { return file_contains("/proc/sys/kernel/random/boot_id", "-"); }
static int read_command_line(void) { return file_contains("/proc/cmdline", "="); }
static int read_own_process(void) { return file_contains("/proc/self/status", "Uid:"); }
static int read_mounts(void) { return file_contains("/proc/self/mountinfo", " / "); }
static int read_sysfs(void) { return file_contains("/sys/devices/system/cpu/online", "0"); }
static int read_kernel_log(void) {
    int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    char bytes[8192];
    return log >= 0 && read(log, bytes, sizeof bytes) > 0 ? 0 : -1;
}

static int open_device(void) {
    int null = open("/dev/null", O_RDWR);
    return null >= 0 && write(null, "x", 1) == 1 ? 0 : -1;
}

static int list_mounts(void) {
    // Of the whole namespace (LSMT_ROOT): the request, and room for the answer.
    struct {
        uint32_t size, spare;
        uint64_t mount, after;
    } request = {.size = 24, .mount = UINT64_MAX};
    uint64_t mounts[64];
    // An empty root has itself and a few binds.
    return syscall(SYS_LISTMOUNT, &request, mounts, 64, 0) > 8 ? 0 : -1;
}

static int lists(DIR *folder, const char *wanted) {
    if (!folder) return -1;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (!strcmp(entry->d_name, wanted)) return 0;
    }
    return refused(ENOENT);
}

static int list_root(void) { return lists(opendir("/"), "etc"); }
static int list_home(void) { return lists(opendir(offer("folder")), "secret"); }

// Learning what there is

static int see_home(void) {
    struct stat status;
    return stat(offer("secret"), &status);
}

static int see_home_by_empty_path_flag(void) {
    struct stat status;
    return fstatat(AT_FDCWD, offer("secret"), &status, AT_EMPTY_PATH);
}

static int see_home_by_newest_call(void) {
    struct statx status;
    return statx(AT_FDCWD, offer("secret"), 0, STATX_SIZE, &status);
}

static int see_home_by_access(void) { return access(offer("secret"), F_OK); }

static int see_home_by_link(void) {
    char target[512] = "";
    return readlink(offer("link"), target, sizeof target - 1) > 0 && !strcmp(target, offer("folder")) ? 0 : -1;
}

static int see_disk(void) {
    struct statfs status;
    return statfs(offer("folder"), &status);
}

static int change_folder(void) {
    if (chdir(offer("folder")) != 0) return -1;
    struct stat here, there;
    return stat(".", &here) == 0 && stat("secret", &there) == 0 ? 0 : -1;
}

static int watch_folder(void) {
    int watch = inotify_init1(IN_NONBLOCK);
    return watch >= 0 && inotify_add_watch(watch, offer("folder"), IN_OPEN) >= 0 ? 0 : -1;
}

static int watch_folder_by_newer_calls(void) {
    int watch = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY);
    return watch < 0 ? -1 : fanotify_mark(watch, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, AT_FDCWD, offer("folder"));
}

// Changing what is not its own

static int made(int descriptor, const char *path) {
    if (descriptor < 0) return -1;
    close(descriptor);
    return unlink(path);
}

static int create_file(void) {
    const char *path = path_in_folder("file");
    return made(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600), path);
}

static int create_nameless_file(void) {
    int nameless = open(offer("folder"), O_TMPFILE | O_RDWR, 0600);
    return nameless >= 0 && write(nameless, "x", 1) == 1 ? 0 : -1;
}

static int create_shared_memory_file(void) {
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/hearth-probe-%d", (int)getpid());
    return made(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600), path);
}

static int make_folder(void) {
    const char *path = path_in_folder("folder");
    return mkdir(path, 0700) == 0 ? rmdir(path) : -1;
}

static int make_symbolic_link(void) {
    const char *path = path_in_folder("symbolic");
    return symlink("/etc/passwd", path) == 0 ? unlink(path) : -1;
}

static int make_hard_link(void) {
    const char *path = path_in_folder("hard");
    return link(offer("secret"), path) == 0 ? unlink(path) : -1;
}

static int make_named_pipe(void) {
    const char *path = path_in_folder("pipe");
    return mkfifo(path, 0600) == 0 ? unlink(path) : -1;
}

// There and back: others need it.
static int rename_file(void) {
    const char *path = path_in_folder("renamed");
    return rename(offer("link"), path) == 0 ? rename(path, offer("link")) : -1;
}

static int change_mode(void) { return chmod(offer("secret"), 0600); }

static int change_mode_by_newest_call(void) {
    return (int)syscall(SYS_FCHMODAT2, AT_FDCWD, offer("secret"), 0600, 0);
}

static int change_times(void) { return utimensat(AT_FDCWD, offer("secret"), NULL, 0); }
static int change_attributes(void) { return setxattr(offer("secret"), "user.probe", "x", 1, 0); }
static int truncate_file(void) { return truncate(offer("model"), 4096); }

// The weights, which a backend has as a descriptor to read

static int writes_model(int descriptor) {
    return descriptor >= 0 && pwrite(descriptor, "x", 1, 4095) == 1 ? close(descriptor) : -1;
}

static int write_model(void) { return writes_model(open(offer("model"), O_RDWR)); }

static int write_model_by_own_descriptor(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", offered_number("model-descriptor"));
    return writes_model(open(path, O_RDWR));
}

static int map_model_for_writing(void) {
    int opened = open(offer("model"), O_RDWR);
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, opened, 0);
    if (mapped == MAP_FAILED) return -1;
    mapped[4095] = 'y';
    return 0;
}

static int change_mode_of_model(void) { return fchmod(offered_number("model-descriptor"), 0600); }
static int change_times_of_model(void) { return futimens(offered_number("model-descriptor"), NULL); }
static int lock_model(void) { return flock(offered_number("model-descriptor"), LOCK_EX | LOCK_NB); }
static int lease_model(void) { return fcntl(offered_number("model-descriptor"), F_SETLEASE, F_RDLCK); }

static int change_attributes_of_model(void) {
    return fsetxattr(offered_number("model-descriptor"), "user.probe", "x", 1, 0);
}

const struct act file_acts[] = {
    {"open-home", "reads the owner's files", open_home},
    {"open-home-by-first-call", "reads the owner's files, through the oldest call for it", open_home_by_first_call},
    {"open-home-by-newest-call", "reads the owner's files, through the newest call for it", open_home_by_newest_call},
    {"open-home-by-dots", "leaves its root by way of '..'", open_home_by_dots},
    {"open-home-by-root-link", "leaves its root by way of /proc/self/root", open_home_by_root_link},
    {"open-home-by-folder-link", "leaves its root by way of /proc/self/cwd", open_home_by_folder_link},
    {"open-home-by-link", "leaves its root by way of a symbolic link", open_home_by_link},
    {"open-home-by-handle", "leaves its root by way of a file's number on disk", open_home_by_handle},
    {"read-passwd", "learns the machine's accounts", read_passwd},
    {"read-machine-id", "recognises the machine again", read_machine_id},
    {"read-boot-id", "recognises the machine until it is restarted", read_boot_id},
    {"read-command-line", "learns how the kernel was started", read_command_line},
    {"read-own-process", "reaches /proc, where every process is", read_own_process},
    {"read-mounts", "learns which file systems there are", read_mounts},
    {"list-mounts", "learns which file systems there are, without /proc", list_mounts},
    {"read-sysfs", "learns what hardware there is", read_sysfs},
    {"read-kernel-log", "reads the kernel's log", read_kernel_log},
    {"open-device", "reaches the machine's devices", open_device},
    {"list-root", "learns what the machine's root holds", list_root},
    {"list-home", "learns the names of the owner's files", list_home},
    {"see-home", "learns whether a path exists, and its size and times", see_home},
    {"see-home-by-empty-path-flag", "learns the same through the form that programs need for their descriptors",
     see_home_by_empty_path_flag},
    {"see-home-by-newest-call", "learns the same through statx", see_home_by_newest_call},
    {"see-home-by-access", "learns whether a path exists", see_home_by_access},
    {"see-home-by-link", "learns where a symbolic link leads", see_home_by_link},
    {"see-disk", "learns the size of a disk and how full it is", see_disk},
    {"change-folder", "works in a folder of the machine", change_folder},
    {"watch-folder", "is told of each file that the owner opens", watch_folder},
    {"watch-folder-by-newer-calls", "is told of each file that the owner opens, through fanotify",
     watch_folder_by_newer_calls},
    {"create-file", "leaves files on the machine", create_file},
    {"create-nameless-file", "fills the disk with files that have no name", create_nameless_file},
    {"create-shared-memory-file", "leaves files in memory that other programs share", create_shared_memory_file},
    {"make-folder", "makes folders on the machine", make_folder},
    {"make-symbolic-link", "lays links for other programs to follow", make_symbolic_link},
    {"make-hard-link", "keeps a file that the owner removes", make_hard_link},
    {"make-named-pipe", "makes pipes for other programs to hang on", make_named_pipe},
    {"rename-file", "moves the owner's files", rename_file},
    {"change-mode", "lets others read the owner's files", change_mode},
    {"change-mode-by-newest-call", "lets others read the owner's files, through a call newer than most filters",
     change_mode_by_newest_call},
    {"change-times", "hides when a file was changed", change_times},
    {"change-attributes", "leaves attributes on the owner's files", change_attributes},
    {"truncate-file", "cuts off the owner's files", truncate_file},
    {"write-model", "changes the weights that others are served with", write_model},
    {"write-model-by-own-descriptor", "opens its read-only weights again, to write", write_model_by_own_descriptor},
    {"map-model-for-writing", "changes the weights through a shared mapping", map_model_for_writing},
    {"change-mode-of-model", "lets others change the weights", change_mode_of_model},
    {"change-times-of-model", "hides that the weights were changed", change_times_of_model},
    {"change-attributes-of-model", "leaves attributes on the weights", change_attributes_of_model},
    {"lock-model", "keeps other programs waiting for the weights", lock_model},
    {"lease-model", "keeps other programs from opening the weights", lease_model},
    {0, 0, 0},
};
