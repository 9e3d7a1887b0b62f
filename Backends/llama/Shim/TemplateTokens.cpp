#include "TemplateTokens.h"

#include <algorithm>
#include <cctype>
#include <list>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace hearth {

void tokenize(const llama_vocab *vocabulary, const std::string &text, bool addSpecial, bool parseSpecial,
              std::vector<llama_token> &tokens) {
    if (text.empty() && !addSpecial) return;
    const size_t before = tokens.size();
    tokens.resize(before + text.size() + 8);
    auto attempt = [&] {
        return llama_tokenize(vocabulary, text.data(), int32_t(text.size()), tokens.data() + before,
                              int32_t(tokens.size() - before), addSpecial, parseSpecial);
    };
    int32_t count = attempt();
    if (count < 0 && count != INT32_MIN) {
        tokens.resize(before + size_t(-count));
        count = attempt();
    }
    if (count < 0) throw std::runtime_error("the text cannot be tokenized");
    tokens.resize(before + size_t(count));
}

std::string tokenText(const llama_vocab *vocabulary, llama_token token) {
    if (token == LLAMA_TOKEN_NULL) return "";
    std::string text(256, '\0');
    const int32_t length = llama_token_to_piece(vocabulary, token, text.data(), int32_t(text.size()), 0, true);
    text.resize(size_t(std::max(0, length)));
    return text;
}

namespace {

/// Whether a text looks special by the rule of llama.cpp's converters: "<|im_start|>", or with the wide bars of
/// DeepSeek's.
bool looksSpecial(const std::string &text) {
    auto isWithin = [&](const std::string &begin, const std::string &end) {
        return text.size() > begin.size() + end.size() && text.compare(0, begin.size(), begin) == 0 &&
               text.compare(text.size() - end.size(), end.size(), end) == 0;
    };
    return isWithin("<|", "|>") || isWithin("<｜", "｜>");
}

}  // namespace

TemplateTokens::TemplateTokens(const llama_vocab *vocabulary) : vocabulary(vocabulary) {
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocabulary); token++) {
        const int attributes = llama_vocab_get_attr(vocabulary, token);
        const std::string text = llama_vocab_get_text(vocabulary, token);
        if (text.empty()) continue;
        // Tokens that the authors defined beside the vocabulary and did not mark as special, such as "<think>", are
        // text, in a message too, as in the model's training. In older files marks of turns are among these.
        if ((attributes & LLAMA_TOKEN_ATTR_USER_DEFINED) && looksSpecial(text)) unmarked.push_back(text);
        if (!(attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN))) continue;
        specials.push_back({text, token, (attributes & LLAMA_TOKEN_ATTR_LSTRIP) != 0,
                            (attributes & LLAMA_TOKEN_ATTR_RSTRIP) != 0});
    }
    std::sort(specials.begin(), specials.end(),
              [](const Special &a, const Special &b) { return a.text.size() > b.text.size(); });
}

std::vector<std::string> TemplateTokens::texts() const {
    std::vector<std::string> texts = unmarked;
    for (const Special &special : specials) texts.push_back(special.text);
    return texts;
}

/// A vocabulary may put a space before each text that follows a special token, and may join the characters on both
/// sides of a message's beginning. So the text between two special tokens is tokenized in one go, whether from the
/// template or a message; the difference counts only where special tokens are found.
bool TemplateTokens::tokenize(std::vector<TemplatePart> parts, const std::function<bool(const std::string &)> &takes,
                              std::vector<llama_token> &tokens) const {
    // A template may write the token that the vocabulary adds.
    const llama_token first = llama_vocab_get_add_bos(vocabulary) ? llama_vocab_bos(vocabulary) : LLAMA_TOKEN_NULL;
    const llama_token last = llama_vocab_get_add_eos(vocabulary) ? llama_vocab_eos(vocabulary) : LLAMA_TOKEN_NULL;
    if (first != LLAMA_TOKEN_NULL) {
        const std::string text = tokenText(vocabulary, first);
        if (!parts.empty() && !parts.front().isConsumers && parts.front().text.compare(0, text.size(), text) == 0) {
            parts.front().text.erase(0, text.size());
        }
        tokens.push_back(first);
    }
    if (last != LLAMA_TOKEN_NULL && !parts.empty() && !parts.back().isConsumers) {
        const std::string text = tokenText(vocabulary, last);
        std::string &end = parts.back().text;
        if (end.size() >= text.size() && end.compare(end.size() - text.size(), text.size(), text) == 0) {
            end.resize(end.size() - text.size());
        }
    }

    std::string run;
    const Special *before = nullptr;
    auto endRun = [&](const Special *after) {
        size_t begin = 0;
        size_t end = run.size();
        auto isBlank = [&](size_t index) { return std::isspace(static_cast<unsigned char>(run[index])) != 0; };
        while (before && before->takesBlanksAfter && begin < end && isBlank(begin)) begin++;
        while (after && after->takesBlanksBefore && begin < end && isBlank(end - 1)) end--;
        run = run.substr(begin, end - begin);
        if (!takes(run)) return false;
        hearth::tokenize(vocabulary, run, false, false, tokens);
        run.clear();
        before = after;
        return true;
    };
    // A template repeats the same texts.
    std::unordered_map<std::string, std::vector<Piece>> known;
    for (const TemplatePart &part : parts) {
        if (part.isApart && !endRun(nullptr)) return false;
        if (part.isConsumers) {
            size_t begin = 0;
            for (const size_t cut : cuts(part.text)) {
                run += part.text.substr(begin, cut - begin);
                if (!endRun(nullptr)) return false;
                begin = cut;
            }
            run += part.text.substr(begin);
            continue;
        }
        auto found = known.find(part.text);
        if (found == known.end()) found = known.emplace(part.text, split(part.text)).first;
        for (const Piece &piece : found->second) {
            if (!piece.special) {
                run += piece.text;
                continue;
            }
            if (!endRun(piece.special)) return false;
            tokens.push_back(piece.special->token);
        }
    }
    if (!endRun(nullptr)) return false;
    if (last != LLAMA_TOKEN_NULL) tokens.push_back(last);
    return true;
}

/// Where a message is cut so that llama.cpp finds no token that looks special in it. In a vocabulary that puts a space before
/// each text there is one more for each cut.
std::vector<size_t> TemplateTokens::cuts(const std::string &message) const {
    std::vector<size_t> cuts;
    for (const std::string &text : unmarked) {
        for (size_t found = message.find(text); found != std::string::npos; found = message.find(text, found + 1)) {
            cuts.push_back(found + 1);
        }
    }
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    return cuts;
}

std::vector<TemplateTokens::Piece> TemplateTokens::split(const std::string &text) const {
    std::list<Piece> pieces{{text, nullptr}};
    for (const Special &special : specials) {
        for (auto piece = pieces.begin(); piece != pieces.end(); ++piece) {
            if (piece->special) continue;
            const size_t found = piece->text.find(special.text);
            if (found == std::string::npos) continue;
            pieces.insert(piece, {piece->text.substr(0, found), nullptr});
            const auto token = pieces.insert(piece, {"", &special});
            piece->text.erase(0, found + special.text.size());
            // The rest is looked at next.
            piece = token;
        }
    }
    return {std::make_move_iterator(pieces.begin()), std::make_move_iterator(pieces.end())};
}

}  // namespace hearth
