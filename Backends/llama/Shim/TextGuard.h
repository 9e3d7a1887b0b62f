#ifndef HEARTH_TEXT_GUARD_H
#define HEARTH_TEXT_GUARD_H

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace hearth {

/// Keeps a special token that a consumer spells out apart from those that a chat template writes, where the template engine
/// does not tell them apart: what `tojson` makes of a consumer's text counts as the template's. `guarded` puts a mark into each
/// such text before it is rendered, behind its first byte, and `pieces` cuts what was rendered there and takes the marks
/// out, so that the token is never whole in one piece. Immutable once made.
class TextGuard {
public:
    /// `specials`: the texts of the tokens.
    explicit TextGuard(const std::vector<std::string> &specials);

    std::string guarded(const std::string &text) const;

    /// The pieces of a text between the marks.
    std::vector<std::string> pieces(const std::string &rendered) const;

private:
    /// A special token at a place of a text, its length in bytes; 0: none.
    size_t special(const std::string &text, size_t place) const;

    /// Characters for private use, drawn anew for each object; a consumer cannot foresee them.
    std::string mark;
    /// By their first four bytes, which most have in common with few others; shorter ones apart.
    std::unordered_map<uint32_t, std::vector<std::string>> specials;
    std::vector<std::string> shortSpecials;
    bool isFirst[256] = {};
};

}  // namespace hearth

#endif
