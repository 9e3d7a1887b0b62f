// posix_spawn(3) beyond POSIX. Only LinuxSystem includes this.
#pragma once
#include <spawn.h>

// posix_spawn_file_actions_addclosefrom_np: close every descriptor from `first` on. An errno, or 0.
int hearth_spawn_close_from(posix_spawn_file_actions_t *actions, int first);
