#include "CallTrigger.h"

#include <algorithm>
#include <utility>

namespace hearth {

CallTrigger::CallTrigger(std::vector<std::string> words, std::string thoughtStart,
                         std::vector<std::string> thoughtEnds)
    : words(std::move(words)), thoughtEnds(std::move(thoughtEnds)) {
    if (!thoughtStart.empty() && !this->thoughtEnds.empty()) thoughtStarts.push_back(std::move(thoughtStart));
    for (const auto *list : {&this->words, &thoughtStarts, &this->thoughtEnds}) {
        for (const std::string &word : *list) longest = std::max(longest, word.size());
    }
}

CallTrigger::Found CallTrigger::first(const std::vector<std::string> &words) const {
    Found first;
    for (const std::string &word : words) {
        const size_t place = tail.find(word);
        if (place < first.place) first = {place, word.size()};
    }
    return first;
}

std::optional<std::string> CallTrigger::append(const std::string &text) {
    tail += text;
    for (;;) {
        if (!isThinking) {
            const Found word = first(words);
            const Found thought = first(thoughtStarts);
            if (word.place < thought.place) return tail.substr(word.place);
            if (thought.place == std::string::npos) break;
            tail.erase(0, thought.place + thought.bytes);
            isThinking = true;
        }
        const Found end = first(thoughtEnds);
        if (end.place == std::string::npos) break;
        tail.erase(0, end.place + end.bytes);
        isThinking = false;
    }
    if (tail.size() >= longest) tail.erase(0, tail.size() - (longest - 1));
    return std::nullopt;
}

}  // namespace hearth
