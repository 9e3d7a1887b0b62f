// One act that a sandbox must stop: returns a negative value, with errno, when it was refused.
#pragma once

struct act {
    const char *name;
    int (*run)(void);
};

// Ends with an act without a name.
extern const struct act acts[];

// What the machine outside has on offer under a name; empty or 0 when nothing.
const char *offer(const char *key);
int offered_number(const char *key);
