// The files of the weights, for llama.cpp, which opens files by name only when a model is split into several.
#ifndef HEARTH_WEIGHTS_FILES_H
#define HEARTH_WEIGHTS_FILES_H

#include <cstdio>
#include <string>
#include <vector>

namespace hearth {

/// Open files, each under a name that is no path. While they are here, llama.cpp opens such a name by `ggml_fopen` and
/// gets the file itself, at its beginning; when it closes the file, nothing happens. In this way one descriptor is
/// enough for as many openings as llama.cpp makes, one after another: policies forbid a backend to open files and to
/// duplicate descriptors. No other name can be opened.
class WeightsFiles {
public:
    ~WeightsFiles() { close(); }

    bool empty() const { return files.empty(); }
    size_t count() const { return files.size(); }

    /// Takes a file over.
    void add(FILE *file) {
        files.push_back({"part " + std::to_string(files.size() + 1) + " of the weights", file});
    }

    /// NULL where there are not so many; the first is 0.
    FILE *file(size_t index) const { return index < files.size() ? files[index].file : nullptr; }

    /// The names in the order of the files; valid until a file is added.
    std::vector<const char *> names() const {
        std::vector<const char *> names;
        for (const Entry &entry : files) names.push_back(entry.name.c_str());
        return names;
    }

    /// The file of a name, rewound; NULL where there is none.
    FILE *open(const char *name) const {
        for (const Entry &entry : files) {
            if (entry.name != name) continue;
            std::rewind(entry.file);
            return entry.file;
        }
        return nullptr;
    }

    bool holds(const FILE *file) const {
        for (const Entry &entry : files) {
            if (entry.file == file) return true;
        }
        return false;
    }

    /// Closes all of them.
    void close();

private:
    struct Entry {
        std::string name;
        FILE *file;
    };
    std::vector<Entry> files;
};

/// The weights, from their opening until they are loaded.
extern WeightsFiles weights;

}  // namespace hearth

#endif
