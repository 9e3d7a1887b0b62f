// Reads the calls of tools that each template writes in a conversation as if a model had written them as its answer, byte by
// byte, and holds what is told of them against the calls that were written.
//
//   calls TEMPLATE.jinja...
#include <algorithm>
#include <chrono>

#include "../../Backends/llama/Shim/ChatTemplate.h"
#include "Converted.h"
#include "common/json.h"

namespace {

std::string text(const std::vector<hearth::TemplatePart> &parts) {
    std::string text;
    for (const hearth::TemplatePart &part : parts) text += part.text;
    return text;
}

bool begins(const std::string &text, const std::string &begin) { return text.compare(0, begin.size(), begin) == 0; }

/// What is told of an answer.
struct Told {
    std::string text;
    std::vector<hearth::ToolCall> calls;
};

Told read(const std::shared_ptr<const hearth::AnswerFormat> &format, const std::string &answer) {
    hearth::AnswerParser parser(format);
    Told told;
    auto look = [&](bool isWhole) {
        parser.look(isWhole);
        told.text += parser.text;
        for (const auto &piece : parser.calls) {
            if (piece.index == told.calls.size()) told.calls.push_back({piece.call.id, piece.call.name, ""});
            told.calls.at(piece.index).arguments += piece.call.arguments;
        }
    };
    for (const char byte : answer) {
        parser.append(&byte, 1);
        look(false);
    }
    look(true);
    return told;
}

bool areSame(const std::vector<hearth::ToolCall> &told, const std::vector<hearth::ToolCall> &written) {
    return std::equal(told.begin(), told.end(), written.begin(), written.end(), [](const auto &a, const auto &b) {
        return a.name == b.name && common_json::parse(a.arguments).dump() == common_json::parse(b.arguments).dump();
    });
}

/// What llama.cpp's own parsers do not read at this version, or the template refuses to write.
const std::vector<std::string> unread = {
    "MiniMax-M1.jinja, two results",
    "Mistral-Small-3.2-24B-Instruct-2506.jinja, result",
    "Mistral-Small-3.2-24B-Instruct-2506.jinja, two results",
    "ibm-granite-granite-3.3-2B-Instruct.jinja, result",
    "ibm-granite-granite-3.3-2B-Instruct.jinja, two results",
    "meetkai-functionary-medium-v3.2.jinja, two results",
    "meta-llama-Llama-3.1-8B-Instruct.jinja, two results",
    "meta-llama-Llama-3.2-3B-Instruct.jinja, two results",
    "meta-llama-Llama-3.3-70B-Instruct.jinja, two results",
    "upstage-Solar-Open-100B.jinja, result",
    "upstage-Solar-Open-100B.jinja, two results",
};

}  // namespace

int main(int count, char **paths) {
    int right = 0;
    int wrong = 0;
    int without = 0;
    int known = 0;
    double longest = 0;
    auto note = [&](const std::string &what) {
        const bool isKnown = std::find(unread.begin(), unread.end(), what) != unread.end();
        ++(isKnown ? known : wrong);
    };
    for (int i = 1; i < count; i++) {
        std::ifstream file(paths[i], std::ios::binary);
        const std::string source((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        const std::string path = paths[i];
        const std::string name = path.substr(path.rfind('/') + 1);
        const hearth::ChatTemplate chatTemplate(source, "<bos>", "<eos>", {});
        if (!chatTemplate.showsTools()) {
            std::printf("%s shows no tools\n", name.c_str());
            without++;
            continue;
        }
        for (const Conversation &conversation : conversations) {
            if (conversation.name != "result" && conversation.name != "two results") continue;
            hearth::Conversation whole = converted(conversation);
            // Up to the calls.
            while (whole.messages.back().role == "tool") whole.messages.pop_back();
            const std::vector<hearth::ToolCall> written = whole.messages.back().calls;
            std::string what = name + ", " + conversation.name;
            try {
                const std::string after = text(chatTemplate.render(whole));
                whole.messages.pop_back();
                const std::string before = text(chatTemplate.render(whole));
                whole.callsInParallel = written.size() > 1;
                const auto began = std::chrono::steady_clock::now();
                const auto format = chatTemplate.answerFormat(whole);
                longest = std::max(
                    longest, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
                const bool isWritten = std::all_of(written.begin(), written.end(), [&](const auto &call) {
                    return after.find(call.name, std::min(before.size(), after.size())) != std::string::npos;
                });
                if (!begins(after, before) || !isWritten) {
                    std::printf("%s: the template does not write all calls behind its prompt\n", what.c_str());
                    without++;
                    continue;
                }
                // The end of the turn, and what begins the next, are no part of the answer: cut the text where the last
                // call is whole.
                const std::string rest = after.substr(before.size());
                bool isRead = false;
                for (size_t end = rest.size(); end > 0 && !isRead; end--) {
                    try {
                        const Told told = read(format, rest.substr(0, end));
                        isRead = areSame(told.calls, written) && told.text.find_first_not_of(" \n") == std::string::npos;
                    } catch (const std::exception &) {
                    }
                }
                if (isRead) {
                    right++;
                } else {
                    note(what);
                    const Told told = read(format, rest);
                    std::printf("%s: of %s was told: %zu calls, %s\n", what.c_str(), rest.c_str(), told.calls.size(),
                                told.calls.empty() ? "" : told.calls[0].arguments.c_str());
                }
            } catch (const std::exception &error) {
                note(what);
                std::printf("%s: %s\n", what.c_str(), error.what());
            }
        }
    }
    std::printf("%d calls were read, %d were not, %d more that llama.cpp does not read, %d cannot be tried; the slowest "
                "format took %.0f ms to find\n",
                right, wrong, known, without, longest * 1000);
    return wrong == 0 ? 0 : 1;
}
