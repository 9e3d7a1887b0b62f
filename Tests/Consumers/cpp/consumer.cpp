// A stock gRPC C++ client of the consumer contract: `consumer ADDRESS CASE` runs one case against an agent whose backend
// `echo` is ready, and says on standard error what was wrong. Exit status 0 when the case holds.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "hearth/v1/inference.grpc.pb.h"

namespace v1 = hearth::v1;
using Stream = grpc::ClientReaderWriter<v1::ChatRequest, v1::ChatEvent>;

static void expect(bool holds, const std::string &what) {
  if (!holds) throw std::runtime_error(what);
}

// What the backend `echo` must say, computed anew from its description in Backends/echo/README.md.
struct Echo {
  std::uint64_t state;

  Echo(std::uint64_t seed, const std::string &prompt) {
    std::uint64_t digest = 0xcbf29ce484222325;
    for (unsigned char byte : prompt) digest = (digest ^ byte) * 0x100000001b3;
    state = seed ^ digest;
  }

  std::uint32_t id(std::uint64_t index) const {
    std::uint64_t z = state + (index + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 51);
  }

  static std::string text(std::uint32_t id) {
    const char *consonants = "bdfghklmnprtvwyz", *vowels = "aeio";
    std::string word = " ";
    word += consonants[id >> 8 & 15];
    word += vowels[id >> 6 & 3];
    word += consonants[id >> 2 & 15];
    word += vowels[id & 3];
    if (id & 0x1000) word += 's';
    return word;
  }
};

// What was received of one turn; asserts the order that the contract promises.
struct Turn {
  std::uint64_t seq = 0;
  std::uint32_t tokens = 0;
  std::string text;
  std::vector<std::uint32_t> ids;
  bool accepted = false, finished = false, over = false;
  v1::FinishReason reason = v1::FINISH_REASON_UNSPECIFIED;

  void receive(const v1::ChatEvent &event) {
    expect(!over, "an event after Usage");
    expect(event.seq() == ++seq, "a gap in seq");
    if (event.has_queued()) {
      expect(!accepted, "Queued after Accepted");
    } else if (event.has_accepted()) {
      expect(!accepted, "Accepted twice");
      accepted = true;
    } else if (event.has_delta()) {
      expect(accepted && !finished, "Delta out of place");
      text += event.delta().text();
      tokens += event.delta().token_count();
      ids.insert(ids.end(), event.delta().token_ids().begin(), event.delta().token_ids().end());
    } else if (event.has_finished()) {
      expect(!finished, "Finished twice");
      finished = true;
      reason = event.finished().reason();
    } else if (event.has_usage()) {
      expect(finished, "Usage before Finished");
      expect(event.usage().completion_tokens() == tokens, "Usage is not what was received");
      over = true;
    } else {
      expect(false, "an event of no kind");
    }
  }

  void check(const v1::GenerateRequest &request) const {
    expect(over, "the turn has no Usage");
    expect(ids.size() == tokens, "not an id for each token");
    Echo echo(request.sampling().seed(), request.text());
    std::string expected;
    for (std::uint32_t index = 0; index < tokens; ++index) {
      expect(ids[index] == echo.id(index), "token " + std::to_string(index) + " is another");
      expected += Echo::text(ids[index]);
    }
    expect(text == expected, "the text is another");
  }
};

static v1::GenerateRequest request(const std::string &prompt, std::uint64_t seed, std::uint32_t tokens,
                                   const std::map<std::string, std::string> &options = {}) {
  v1::GenerateRequest made;
  made.set_model("echo");
  made.set_text(prompt);
  made.mutable_sampling()->set_seed(seed);
  made.mutable_stopping()->set_max_tokens(tokens);
  made.mutable_output()->set_token_ids(true);
  for (const auto &[key, value] : options) (*made.mutable_backend_options())[key] = value;
  return made;
}

static std::shared_ptr<grpc::Channel> connect(const std::string &address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

static void begin(Stream &stream, const v1::GenerateRequest &generate) {
  v1::ChatRequest message;
  *message.mutable_generate() = generate;
  expect(stream.Write(message), "the request could not be written");
}

static Turn read_turn(Stream &stream, Turn turn = {}, const std::function<bool(const Turn &)> &until = {}) {
  v1::ChatEvent event;
  while (!turn.over && !(until && until(turn))) {
    if (!stream.Read(&event)) {
      grpc::Status status = stream.Finish();
      throw std::runtime_error("the stream ended in a turn: " + status.error_message());
    }
    turn.receive(event);
  }
  return turn;
}

static void end(Stream &stream) {
  stream.WritesDone();
  v1::ChatEvent event;
  expect(!stream.Read(&event), "an event after the last turn");
  grpc::Status status = stream.Finish();
  expect(status.ok(), "the call ended with: " + status.error_message());
}

static void turns(const std::string &address) {
  auto stub = v1::Inference::NewStub(connect(address));
  grpc::ClientContext context;
  auto stream = stub->Chat(&context);
  for (int number = 0; number < 3; ++number) {
    auto asked = request("turn " + std::to_string(number), number, 20 + number);
    begin(*stream, asked);
    read_turn(*stream).check(asked);
  }
  end(*stream);
}

static void hundred(const std::string &address) {
  auto stub = v1::Inference::NewStub(connect(address));
  std::vector<std::string> wrong(100);
  std::vector<std::thread> threads;
  for (int index = 0; index < 100; ++index) {
    threads.emplace_back([&, index] {
      try {
        grpc::ClientContext context;
        auto stream = stub->Chat(&context);
        auto asked = request("stream " + std::to_string(index), index, 100, {{"tokens_per_second", "100"}});
        begin(*stream, asked);
        Turn turn = read_turn(*stream);
        turn.check(asked);
        expect(turn.tokens == 100, "not all tokens came");
        end(*stream);
      } catch (const std::exception &error) {
        wrong[index] = error.what();
      }
    });
  }
  for (auto &thread : threads) thread.join();
  for (const auto &what : wrong) expect(what.empty(), what);
}

static void cancel(const std::string &address) {
  auto stub = v1::Inference::NewStub(connect(address));
  grpc::ClientContext context;
  auto stream = stub->Chat(&context);
  auto asked = request("cut", 1, 100000, {{"tokens_per_second", "100"}});
  begin(*stream, asked);
  Turn turn = read_turn(*stream, {}, [](const Turn &turn) { return turn.tokens >= 5; });
  v1::ChatRequest message;
  message.mutable_cancel();
  expect(stream->Write(message), "the cancel could not be written");
  turn = read_turn(*stream, turn);
  expect(turn.reason == v1::FINISH_REASON_CANCELLED, "it was not cancelled");
  turn.check(asked);
  auto after = request("after the cut", 2, 5);
  begin(*stream, after);
  read_turn(*stream).check(after);
  end(*stream);
}

static void deadline(const std::string &address) {
  auto stub = v1::Inference::NewStub(connect(address));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(700));
  auto reader = stub->Generate(&context, request("late", 1, 1000000, {{"tokens_per_second", "100"}}));
  v1::ChatEvent event;
  Turn turn;
  while (reader->Read(&event)) turn.receive(event);
  expect(turn.tokens > 0 && !turn.finished, "tokens, but no end, were expected");
  grpc::Status status = reader->Finish();
  expect(status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED, "ended with: " + status.error_message());
}

static void not_found(const std::string &address) {
  auto stub = v1::Inference::NewStub(connect(address));
  grpc::ClientContext context;
  auto asked = request("hello", 1, 1);
  asked.set_model("missing");
  auto reader = stub->Generate(&context, asked);
  v1::ChatEvent event;
  expect(!reader->Read(&event), "an event before the error");
  grpc::Status status = reader->Finish();
  expect(status.error_code() == grpc::StatusCode::NOT_FOUND, "ended with: " + status.error_message());
  expect(status.error_message().find("echo") != std::string::npos, "lists no model: " + status.error_message());
}

static void models(const std::string &address) {
  auto stub = v1::Inference::NewStub(connect(address));
  grpc::ClientContext listing, counting;
  v1::ListModelsResponse list;
  expect(stub->ListModels(&listing, {}, &list).ok(), "ListModels failed");
  expect(list.models_size() == 1 && list.models(0).id() == "echo", "not the one model");
  v1::CountTokensResponse count;
  expect(stub->CountTokens(&counting, request("one two three", 1, 1), &count).ok(), "CountTokens failed");
  expect(count.tokens() == 3, "counted " + std::to_string(count.tokens()));
}

int main(int count, char **arguments) {
  const std::map<std::string, void (*)(const std::string &)> cases = {
      {"turns", turns},       {"hundred", hundred},     {"cancel", cancel},
      {"deadline", deadline}, {"not_found", not_found}, {"models", models},
  };
  if (count != 3 || !cases.count(arguments[2])) {
    std::cerr << "usage: consumer ADDRESS CASE, one of:";
    for (const auto &entry : cases) std::cerr << ' ' << entry.first;
    std::cerr << '\n';
    return 64;
  }
  try {
    cases.at(arguments[2])(arguments[1]);
  } catch (const std::exception &error) {
    std::cerr << arguments[2] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
