#ifndef HEARTH_CALL_TRIGGER_H
#define HEARTH_CALL_TRIGGER_H

#include <optional>
#include <string>
#include <vector>

namespace hearth {

/// Looks in an answer for the words that begin a call of a tool, but not within the model's thoughts.
class CallTrigger {
public:
    /// `thoughtEnds` may be empty where models of this kind do not think.
    CallTrigger(std::vector<std::string> words, std::string thoughtStart, std::vector<std::string> thoughtEnds);

    /// Takes more of the answer, marks included. Returns the text from the first of the words on, once it has come; nothing may
    /// be appended after that.
    std::optional<std::string> append(const std::string &text);

private:
    struct Found {
        size_t place = std::string::npos;
        size_t bytes = 0;
    };

    Found first(const std::vector<std::string> &words) const;

    std::vector<std::string> words;
    std::vector<std::string> thoughtStarts;
    std::vector<std::string> thoughtEnds;
    size_t longest = 1;
    bool isThinking = false;
    /// The end of the answer so far, in which a word may have begun.
    std::string tail;
};

}  // namespace hearth

#endif
