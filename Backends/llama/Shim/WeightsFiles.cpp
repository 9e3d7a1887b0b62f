#include "WeightsFiles.h"

#include <cerrno>

namespace hearth {
WeightsFiles weights;
}

// The linker puts these in the place of the functions without `__wrap_` (ld(1), --wrap), in every object.
extern "C" {
int __real_fclose(FILE *file);

FILE *__wrap_ggml_fopen(const char *name, const char *) {
    FILE *file = hearth::weights.open(name);
    if (!file) errno = EACCES;
    return file;
}

int __wrap_fclose(FILE *file) { return hearth::weights.holds(file) ? 0 : __real_fclose(file); }
}

void hearth::WeightsFiles::close() {
    for (const Entry &entry : files) __real_fclose(entry.file);
    files.clear();
}
