"""Aims the tests of llama.cpp's llama-server at Hearth's HTTP bridge, as a plugin of pytest.

The suite starts a llama-server for each case, by `ServerProcess` of its `utils`. The class of that name below takes its place:
it starts nothing, and asks one agent that serves what the tests of this project serve. A case that wants another model cannot
run. The cases in the file `left-out` must fail, and every other one must not.
"""

import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import types
import urllib.request

import openai
import pytest
from agent import SHIPPED, Agent, wait_until

# The suite fetches models with it, and none is fetched here.
sys.modules["wget"] = types.ModuleType("wget")
import utils  # noqa: E402: the suite's own

HERE = pathlib.Path(__file__).parent
CONSUMERS = HERE.parent
CHAT, EMBEDDING = "smollm2-135m-instruct", "all-minilm-l6-v2"
# What stands in for the models of the suite, by the repository that it takes them from; another one is not here.
STAND_INS = {
    ("ggml-org/test-model-stories260K", None): CHAT,
    ("ggml-org/models", "bert-bge-small/ggml-model-f16.gguf"): EMBEDDING,
}
# Paths that llama-server serves a second time without the version in front.
WITHOUT_VERSION = {"/chat/completions", "/responses"}
# What a request says to the slots and caches of llama-server; nothing that its answer is asked about.
TO_SLOTS = {"cache_prompt", "id_slot"}
# What only the texts of stories260K match, which is not here: any text does.
OF_STORIES = {"(Suddenly)+", "(going|bed)+"}
KINDS = {
    "own": "an endpoint, field or text of llama-server's own",
    "setting": "a setting that the case starts llama-server with",
    "model": "a model that is not here",
    "text": "what one model writes, or how many tokens its vocabulary makes of a text",
    "choice": "Hearth decides otherwise, and says so",
}


class SuiteAgent(Agent):
    """An agent with a bridge, a chat model and an embedding model. The chat model's own template shows no tools."""

    def __init__(self):
        super().__init__(backends={}, options=("--http", "127.0.0.1:0"))
        for name in ("llama", "llama.json", "hearth-demo.gguf"):
            shutil.copy(SHIPPED / name, self.backend_folder / name)
        shutil.copy(HERE / "tools.jinja", self.model_folder)
        self.add_model(CHAT, made_by("model"), {"contextTokens": 2048, "threads": 2, "chatTemplate": "tools.jinja"})
        self.add_model(EMBEDDING, made_by("embedding-model") / "model.gguf", {})

    def add_model(self, name, file, settings):
        shutil.copy(file, self.model_folder / f"{name}.gguf")
        (self.model_folder / f"{name}.json").write_text(json.dumps(settings))

    def __enter__(self):
        super().__enter__()
        self.base = f"http://{self.addresses[-1]}"
        wait_until(lambda: {CHAT, EMBEDDING} <= set(self.served()), "the models", 60, 0.1)
        return self

    def served(self):
        try:
            with urllib.request.urlopen(f"{self.base}/v1/models", timeout=10) as answer:
                return [model["id"] for model in json.load(answer)["data"]]
        except OSError:
            return []


def made_by(script):
    answer = subprocess.run([CONSUMERS / script], check=True, stdout=subprocess.PIPE, text=True)
    return pathlib.Path(answer.stdout.strip())


class Server(utils.ServerProcess):
    """The part of the suite's server that its tests use: settings, and requests to the address of the bridge."""

    agent = None
    model = CHAT

    def start(self, timeout_seconds=0):
        if self.server_path is not None or self.models_dir is not None or self.model_hf_repo is None:
            raise NotHere("a llama-server of one's own")
        self.model = STAND_INS.get((self.model_hf_repo, self.model_hf_file))
        if self.model is None:
            raise NotHere(f"the model {self.model_hf_repo} {self.model_hf_file or ''}")
        host, port = Server.agent.addresses[-1].rsplit(":", 1)
        self.server_host, self.server_port = host, int(port)
        Client.model = self.model

    def stop(self):
        pass

    def make_request(self, method, path, data=None, headers=None, **rest):
        path, asked, is_native = self.translated(path, data)
        answer = super().make_request(method, path, asked, headers, **rest)
        if is_native and answer.status_code == 200:
            answer.body = native(answer.body)
        return answer

    def make_stream_request(self, method, path, data=None, headers=None, **rest):
        path, asked, is_native = self.translated(path, data)
        for event in super().make_stream_request(method, path, asked, headers, **rest):
            yield native(event) if is_native else opened(event)

    def translated(self, path, data):
        """A request as the bridge takes it, and whether it was one to /completion, which the bridge has as
        /v1/completions."""
        is_native = path == "/completion"
        if is_native:
            path = "/v1/completions"
        elif path in WITHOUT_VERSION:
            path = "/v1" + path
        if not isinstance(data, dict):
            return path, data, is_native
        asked = {key: value for key, value in data.items() if key not in TO_SLOTS}
        if is_native and "n_predict" in asked:
            asked["max_tokens"] = asked.pop("n_predict")
        asked["model"] = self.model
        if path in ("/v1/completions", "/v1/chat/completions"):
            # What llama-server was started with.
            asked.setdefault("seed", self.seed)
            asked.setdefault("temperature", self.temperature)
            if self.n_predict is not None and not asked.get("max_tokens"):
                asked["max_tokens"] = self.n_predict
        return path, asked, is_native


class NotHere(Exception):
    """What a case needs and this machine has not."""


def native(answer):
    """An answer of /v1/completions, or a piece of its stream, with the text where /completion has it."""
    (choice,) = answer["choices"]
    return {"content": choice["text"], "stop": choice["finish_reason"] is not None}


def opened(event):
    """An event of a stream, with a null where the first has an empty text, as OpenAI's has and llama-server's has not."""
    for choice in event.get("choices", []):
        if "role" in choice["delta"]:
            choice["delta"]["content"] = choice["delta"].get("content") or None
    return event


class Client(openai.OpenAI):
    """Names a model that is served, where the suite names one of OpenAI's."""

    model = CHAT

    def _prepare_options(self, options):
        if isinstance(options.json_data, dict):
            options.json_data["model"] = Client.model
        return options


def match_regex(regex, text, of_suite=utils.match_regex):
    return bool(text) if regex in OF_STORIES else of_suite(regex, text)


utils.ServerProcess, utils.match_regex, openai.OpenAI = Server, match_regex, Client


class LeftOut:
    """The cases of the file `left-out`, with their kind and reason. One without parameters stands for all that it has."""

    def __init__(self):
        self.reasons, self.unused = {}, set()
        for number, line in enumerate((HERE / "left-out").read_text().splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            match = re.fullmatch(r"(\S.*?)  # (\w+): (\S.*)", line)
            if match is None or match.group(2) not in KINDS or match.group(1) in self.reasons:
                raise pytest.UsageError(f"left-out:{number}: must be 'FILE::CASE  # KIND: REASON', once a case: {line}")
            self.reasons[match.group(1)] = match.group(2), match.group(3)
        self.unused = set(self.reasons)

    def find(self, case):
        for name in (case, case.split("[", 1)[0]):
            if name in self.reasons:
                self.unused.discard(name)
                return self.reasons[name]
        return None


def pytest_sessionstart(session):
    if not session.config.option.collectonly:
        Server.agent = SuiteAgent()
        Server.agent.__enter__()


def pytest_sessionfinish(session, exitstatus):
    if Server.agent is not None and Server.agent.process is not None:
        failed = (SystemExit, None, None) if exitstatus else (None, None, None)
        Server.agent.__exit__(*failed)


def name_of(item):
    return item.nodeid.split("/")[-1] if "[" not in item.nodeid else re.sub(r"^.*?([^/\[]*\.py::)", r"\1", item.nodeid)


def pytest_collection_modifyitems(config, items):
    left_out = LeftOut()
    for item in items:
        name = name_of(item)
        item.user_properties.append(("file", name.split("::")[0]))
        found = left_out.find(name)
        if found:
            kind, reason = found
            item.user_properties.append(("kind", kind))
            item.add_marker(pytest.mark.xfail(reason=f"{kind}: {reason}", strict=True))
    # A run of single cases has no others.
    if left_out.unused and not config.option.keyword and len(items) > 50:
        raise pytest.UsageError("left-out names cases that the suite has not: " + ", ".join(sorted(left_out.unused)))


def pytest_terminal_summary(terminalreporter):
    """The table of Docs/http.md."""
    counts = collections.defaultdict(collections.Counter)
    for outcome in ("passed", "xfailed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            facts = dict(report.user_properties)
            if "file" in facts:
                counts[facts["file"]][facts.get("kind") if outcome == "xfailed" else outcome] += 1
    columns = ["passed", *KINDS, "skipped", "failed", "error"]
    terminalreporter.write_line("| File | Cases | " + " | ".join(columns) + " |")
    for file, count in [*sorted(counts.items()), ("all", sum(counts.values(), collections.Counter()))]:
        cells = [count.total(), *(count[column] for column in columns)]
        terminalreporter.write_line(f"| `{file}` | " + " | ".join(map(str, cells)) + " |")
