#include "TextGuard.h"

#include <cstring>
#include <random>

namespace hearth {

namespace {

constexpr size_t prefixBytes = 4;

uint32_t prefix(const char *text) {
    uint32_t value;
    std::memcpy(&value, text, prefixBytes);
    return value;
}

/// Four characters of U+E000 to U+EFFF, in UTF-8.
std::string drawMark() {
    std::random_device random;
    std::string mark;
    for (int i = 0; i < 4; i++) {
        const uint32_t bits = random();
        mark += {char(0xee), char(0x80 | (bits & 0x3f)), char(0x80 | (bits >> 8 & 0x3f))};
    }
    return mark;
}

}  // namespace

TextGuard::TextGuard(const std::vector<std::string> &texts) : mark(drawMark()) {
    for (const std::string &text : texts) {
        // One of a single byte cannot be cut.
        if (text.size() < 2) continue;
        isFirst[uint8_t(text[0])] = true;
        if (text.size() < prefixBytes) {
            shortSpecials.push_back(text);
        } else {
            specials[prefix(text.data())].push_back(text);
        }
    }
}

size_t TextGuard::special(const std::string &text, size_t place) const {
    auto isHere = [&](const std::string &special) { return text.compare(place, special.size(), special) == 0; };
    if (text.size() - place >= prefixBytes) {
        if (const auto found = specials.find(prefix(text.data() + place)); found != specials.end()) {
            for (const std::string &special : found->second) {
                if (isHere(special)) return special.size();
            }
        }
    }
    for (const std::string &special : shortSpecials) {
        if (isHere(special)) return special.size();
    }
    return 0;
}

std::string TextGuard::guarded(const std::string &text) const {
    std::string guarded;
    size_t copied = 0;
    for (size_t place = 0; place < text.size(); place++) {
        if (!isFirst[uint8_t(text[place])] || special(text, place) == 0) continue;
        guarded.append(text, copied, place + 1 - copied);
        guarded += mark;
        copied = place + 1;
    }
    if (copied == 0) return text;
    return guarded.append(text, copied, std::string::npos);
}

std::vector<std::string> TextGuard::pieces(const std::string &rendered) const {
    std::vector<std::string> pieces;
    size_t begin = 0;
    for (size_t found; (found = rendered.find(mark, begin)) != std::string::npos; begin = found + mark.size()) {
        pieces.push_back(rendered.substr(begin, found - begin));
    }
    pieces.push_back(rendered.substr(begin));
    return pieces;
}

}  // namespace hearth
