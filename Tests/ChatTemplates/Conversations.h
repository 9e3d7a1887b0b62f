// What both programs render, and how they write it.
#ifndef HEARTH_CONVERSATIONS_H
#define HEARTH_CONVERSATIONS_H

#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

struct Call {
    std::string id;
    std::string name;
    std::string arguments;
};

struct Message {
    std::string role;
    std::string content;
    std::vector<Call> calls = {};
    /// Of a tool's result.
    std::string tool = {};
    std::string callId = {};
};

struct Tool {
    std::string name;
    std::string description;
    std::string parameters;
};

struct Conversation {
    std::string name;
    std::vector<Message> messages;
    std::vector<Tool> tools = {};
};

inline const std::vector<Tool> tools = {
    {"get_weather", "Tells the weather.",
     R"({"type":"object","properties":{"city":{"type":"string","description":"A \"city\""},)"
     R"("days":{"type":"integer","minimum":1}},"required":["city"]})"},
    {"get_time", "Tells the time & date.", R"({"type":"object","properties":{}})"},
};

inline const std::vector<Conversation> conversations = {
    {"greeting", {{"user", "Hello"}}},
    {"system", {{"system", "Be brief."}, {"user", "What is 3 plus 4?"}}},
    {"turns",
     {{"system", "Be brief."}, {"user", " Hi \n"}, {"assistant", "Hello, <b>you</b>!"}, {"user", "Ünïcode 🦊 ’it’?"}}},
    {"long",
     {{"user", "1"}, {"assistant", "2"}, {"user", "3"}, {"assistant", "4\n\n5"}, {"user", "6"}, {"assistant", " 7 "},
      {"user", "8"}}},
    {"thought", {{"user", "Why?"}, {"assistant", "<think>\nBecause.\n</think>\n\nSo."}, {"user", "Really?"}}},
    {"empty", {{"user", ""}}},
    {"tools", {{"system", "Be brief."}, {"user", "Weather?"}}, tools},
    {"result",
     {{"user", "Weather?"},
      {"assistant", "", {{"abcdefghi", "get_weather", R"({"city":"Zürich","days":2})"}}},
      {"tool", R"({"sky":"<clear>"})", {}, "get_weather", "abcdefghi"}},
     tools},
    {"two results",
     {{"user", "Weather and time?"},
      {"assistant", "", {{"abcdefghi", "get_weather", R"({"city":"Oslo"})"}, {"bcdefghij", "get_time", "{}"}}},
      {"tool", "rain", {}, "get_weather", "abcdefghi"},
      {"tool", "noon", {}, "get_time", "bcdefghij"}},
     tools},
    {"after a result",
     {{"user", "Weather?"},
      {"assistant", "I look.", {{"abcdefghi", "get_weather", R"({"city":"Oslo"})"}}},
      {"tool", "rain", {}, "get_weather", "abcdefghi"},
      {"assistant", "It rains."},
      {"user", "And the time?"}},
     tools},
    {"continued", {{"system", "Be brief."}, {"user", "Count to five."}, {"assistant", "One, two,"}}},
    {"continued with a blank", {{"user", "Count to five."}, {"assistant", "One, two, "}}},
};

/// Renders all conversations with all templates that are named, and writes what comes of it to standard output.
template <typename Render>
int renderAll(int count, char **paths, Render render) {
    for (int i = 1; i < count; i++) {
        std::ifstream file(paths[i], std::ios::binary);
        const std::string source((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        const std::string path = paths[i];
        for (const Conversation &conversation : conversations) {
            std::string text;
            try {
                text = render(source, conversation);
            } catch (const std::exception &error) {
                text = "ERROR";
                std::fprintf(stderr, "%s, %s: %s\n", path.substr(path.rfind('/') + 1).c_str(), conversation.name.c_str(),
                             error.what());
            }
            std::printf("=== %s, %s\n%s\n", path.substr(path.rfind('/') + 1).c_str(), conversation.name.c_str(),
                        text.c_str());
        }
    }
    return 0;
}

#endif
