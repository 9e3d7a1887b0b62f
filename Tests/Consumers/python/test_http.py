"""The HTTP bridge, by the clients that people use, beside gRPC: the same prompt and seed give the same text through every
door. Answers are echo's, whose tokens are known beforehand."""

import asyncio
import concurrent.futures
import contextlib
import copy
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

import anthropic
import echo
import httpx
import ollama
import openai
import pytest
from agent import PREFIX, SANITIZED, Agent, resident_kibibytes, wait_until
from closed_agent import ClosedAgent
from consumer import Turn, connect, eventually, pb, read_turn, rpc, run

PROMPT = "What is warm?"
BRIDGE = PREFIX / "libexec/hearth/hearth-bridge"
pytestmark = pytest.mark.skipif(not BRIDGE.exists(), reason="this installation has no HTTP bridge")


class Bridged:
    """What an agent with a bridge has besides."""

    def find(self):
        self.base = f"http://{self.addresses[-1]}"
        self.host, port = self.addresses[-1].rsplit(":", 1)
        if "(https)" in self.announced:
            self.base = f"https://localhost:{port}"
        self.port = int(port)
        wait_until(self.bridge, "the bridge")
        return self

    def bridge(self):
        """The process of the bridge; None: it does not run."""
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "cmdline").read_bytes() == b"hearth-bridge\0":
                    if self.pid in ancestors(int(entry.name)):
                        return int(entry.name)
            except (FileNotFoundError, ProcessLookupError):
                pass
        return None

    def openai(self, **options):
        return openai.OpenAI(base_url=f"{self.base}/v1", api_key="none", max_retries=0, timeout=30, **options)

    def anthropic(self, **options):
        return anthropic.Anthropic(base_url=self.base, api_key="none", max_retries=0, timeout=30, **options)

    def ollama(self):
        return ollama.Client(host=self.base, timeout=30)


class HTTPAgent(Bridged, Agent):
    """An agent with a bridge, and two models, so that requests have to name theirs."""

    def __init__(self, *options):
        super().__init__({"echo": None, "other": None}, options=("--http", "127.0.0.1:0", *options))

    def __enter__(self):
        super().__enter__()
        return self.find()


class ClosedHTTPAgent(Bridged, ClosedAgent):
    """One that asks for keys, also over HTTP."""

    def __init__(self):
        super().__init__(options=("--http", "127.0.0.1:0"), tls=False)

    def __enter__(self):
        super().__enter__()
        return self.find()


def ancestors(pid):
    found = []
    while pid > 1:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        pid = int(text[text.rindex(")") + 2 :].split()[1])
        found.append(pid)
    return found


@pytest.fixture(scope="module")
def agent():
    with HTTPAgent() as started:
        yield started


def reference(agent, change, prompt=PROMPT, seed=7, tokens=12):
    """The turn that gRPC gives; `change` alters its request."""

    async def scenario():
        async with connect(agent) as channel:
            request = pb.GenerateRequest(model="echo")
            request.messages.messages.add(role=pb.ROLE_USER, content=prompt)
            request.sampling.seed = seed
            request.stopping.max_tokens = tokens
            change(request)
            return await read_turn(rpc.InferenceStub(channel).Generate(request), Turn())

    return run(scenario())


def user(prompt=PROMPT):
    return [{"role": "user", "content": prompt}]


LOOK = {
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}


def with_tool(request):
    request.tools.tools.add(name="look", description="Looks.", parameters=json.dumps(LOOK["parameters"]))
    request.tools.choice = pb.TOOL_CHOICE_REQUIRED


def test_chat_completions_say_what_grpc_says(agent):
    expected = reference(agent, lambda request: None)
    client = agent.openai()
    ask = dict(model="echo", messages=user(), seed=7, max_tokens=12)
    whole = client.chat.completions.create(**ask)
    assert whole.choices[0].message.content == expected.text
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.prompt_tokens == expected.usage.prompt_tokens
    assert whole.usage.completion_tokens == 12
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert whole.system_fingerprint and {chunk.system_fingerprint for chunk in chunks} == {whole.system_fingerprint}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == expected.text
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1] if chunk.choices[0].finish_reason] == ["length"]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 12
    several = client.chat.completions.create(**ask, n=2)
    assert several.choices[0].message.content == expected.text
    assert several.choices[1].message.content == reference(agent, lambda request: None, seed=8).text


def test_chat_completions_have_forms_calls_and_log_probabilities(agent):
    client = agent.openai()
    schema = {"type": "object", "properties": {"warm": {"type": "boolean"}}, "required": ["warm"]}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    answer = client.chat.completions.create(model="echo", messages=user(), seed=7, response_format=form)
    assert type(json.loads(answer.choices[0].message.content)["warm"]) is bool
    expected = reference(agent, with_tool, tokens=400)
    tools = [{"type": "function", "function": LOOK}]
    called = client.chat.completions.create(
        model="echo", messages=user(), seed=7, tools=tools, tool_choice="required", max_tokens=400
    )
    assert called.choices[0].finish_reason == "tool_calls"
    call = called.choices[0].message.tool_calls[0]
    assert call.function.name == "look"
    assert call.function.arguments == "".join(piece.arguments for piece in expected.pieces)
    with client.chat.completions.stream(
        model="echo", messages=user(), seed=7, tools=tools, tool_choice="required", max_tokens=400
    ) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.tool_calls[0].function.arguments == call.function.arguments
    # The result of the call, as clients send it back.
    history = user() + [called.choices[0].message.model_dump(exclude_none=True)]
    history.append({"role": "tool", "tool_call_id": call.id, "content": "42"})
    assert client.chat.completions.create(model="echo", messages=history, max_tokens=3, tools=tools).choices
    likely = client.chat.completions.create(
        model="echo", messages=user(), seed=7, max_tokens=4, logprobs=True, top_logprobs=2
    )
    assert [len(entry.top_logprobs) for entry in likely.choices[0].logprobs.content] == [2] * 4


def test_completions_embeddings_and_models(agent):
    client = agent.openai()
    tokens = echo.token_ids(7, PROMPT, 9)
    text = "".join(echo.WORDS[token] for token in tokens)
    assert client.completions.create(model="echo", prompt=PROMPT, seed=7, max_tokens=9).choices[0].text == text
    pieces = client.completions.create(model="echo", prompt=PROMPT, seed=7, max_tokens=9, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == text
    # The client asks for base64 by itself.
    answer = client.embeddings.create(model="echo", input=["warm", "cold"])
    assert [entry.index for entry in answer.data] == [0, 1]
    plain = client.embeddings.create(model="echo", input="warm", encoding_format="float")
    assert answer.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-7)
    ranked = httpx.post(
        f"{agent.base}/v1/rerank", json={"model": "echo", "query": "q", "documents": ["a", "b"]}
    ).json()
    best = max((0, 1), key=lambda index: echo.score("q", "ab"[index]))
    assert ranked["results"][0]["index"] == best
    assert [model.id for model in client.models.list()] == ["echo", "other"]
    assert client.models.retrieve("echo").id == "echo"


def test_responses_say_what_grpc_says(agent):
    expected = reference(agent, lambda request: None)
    client = agent.openai()
    ask = dict(model="echo", input=PROMPT, max_output_tokens=12, extra_body={"seed": 7})
    whole = client.responses.create(**ask)
    assert (whole.output_text, whole.status) == (expected.text, "incomplete")
    events = list(client.responses.create(**ask, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == expected.text
    assert events[-1].type == "response.incomplete"
    called = client.responses.create(
        model="echo", input=PROMPT, tools=[{"type": "function", **LOOK}], tool_choice="required"
    )
    assert [item.name for item in called.output if item.type == "function_call"] == ["look"]


def test_anthropics_messages_say_what_grpc_says(agent):
    expected = reference(agent, lambda request: request.sampling.ClearField("seed"), tokens=5)
    client = agent.anthropic()
    ask = dict(model="echo", messages=user(), max_tokens=5)
    # Its protocol has no seed: the tokens differ, and everything else does not.
    whole = client.messages.create(**ask)
    assert len(whole.content[0].text.split()) == len(expected.text.split()) == 5
    assert whole.stop_reason == "max_tokens" and whole.usage.output_tokens == 5
    with client.messages.stream(**ask) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(texts) == final.content[0].text and final.usage.output_tokens == 5
    tools = [{"name": "look", "description": "Looks.", "input_schema": LOOK["parameters"]}]
    called = client.messages.create(
        model="echo", messages=user(), max_tokens=400, tools=tools, tool_choice={"type": "any"}
    )
    assert called.stop_reason == "tool_use"
    uses = [block for block in called.content if block.type == "tool_use"]
    assert uses[0].name == "look" and set(uses[0].input) == {"text"}
    count = client.messages.count_tokens(model="echo", messages=user())
    assert count.input_tokens == expected.usage.prompt_tokens
    assert [model.id for model in client.models.list()] == ["echo", "other"]
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**{**ask, "model": "none"})


def test_ollamas_protocol_says_what_grpc_says(agent):
    expected = reference(agent, lambda request: None)
    client = agent.ollama()
    options = {"seed": 7, "num_predict": 12}
    assert client.chat("echo:latest", messages=user(), options=options).message.content == expected.text
    parts = list(client.chat("echo", messages=user(), options=options, stream=True))
    assert "".join(part.message.content for part in parts) == expected.text
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert (parts[-1].done_reason, parts[-1].eval_count) == ("length", 12)
    text = "".join(echo.WORDS[token] for token in echo.token_ids(7, PROMPT, 12))
    assert client.generate("echo", PROMPT, options=options, raw=True).response == text
    assert [model.model for model in client.list().models] == ["echo", "other"]
    assert [model.model for model in client.ps().models] == ["echo", "other"]
    assert "tools" in client.show("echo").capabilities
    assert len(client.embed("echo", ["warm", "cold"]).embeddings) == 2
    assert client.generate("echo").done_reason == "load"
    assert re.fullmatch(r"[0-9.]+", httpx.get(f"{agent.base}/api/version").json()["version"])


def refused(agent, path, body, **options):
    return httpx.post(agent.base + path, json=body, **options)


def test_what_is_not_there_is_refused_by_name(agent):
    ask = {"model": "echo", "messages": user()}
    for change, param in [
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"temprature": 1}, "temprature"),
        ({"temperature": 9}, "temperature"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "fish"}}}}, None),
    ]:
        answer = refused(agent, "/v1/chat/completions", {**ask, **change})
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert param is None or answer.json()["error"]["param"] == param
    missing = refused(agent, "/v1/chat/completions", {**ask, "model": "none"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    assert refused(agent, "/api/chat", {**ask, "model": "none"}).json()["error"]
    assert httpx.get(f"{agent.base}/v1/chat/completions").status_code == 405
    assert httpx.get(f"{agent.base}/v1/nothing").status_code == 404
    broken = httpx.post(f"{agent.base}/v1/chat/completions", content=b'{"model": "echo",')
    assert broken.status_code == 400 and "JSON" in broken.json()["error"]["message"]
    # As curl sends what a person types.
    form = {"content-type": "application/x-www-form-urlencoded"}
    typed = httpx.post(f"{agent.base}/v1/chat/completions", content=json.dumps({**ask, "max_tokens": 1}), headers=form)
    assert typed.status_code == 200


def test_a_client_that_goes_stops_the_computing(agent):
    ask = {"model": "echo", "messages": user(), "stream": True, "max_tokens": 1_000_000}
    with httpx.stream("POST", f"{agent.base}/v1/chat/completions", json=ask) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        # Nothing more is read: what is computed ahead is bounded, and so the sequence is still there.
        wait_until(lambda: agent.number("echo", "running") == 1, "a running sequence")
    agent.wait_idle("echo", 5)
    assert agent.number("echo", "tokens") < 500_000


def test_a_client_that_does_not_read_holds_the_computing(agent):
    ask = json.dumps({"model": "echo", "messages": user(), "stream": True, "max_tokens": 1_000_000})
    with socket.create_connection((agent.host, agent.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {agent.host}\r\nContent-Length: {len(ask)}\r\n\r\n"
        connection.sendall((head + ask).encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        counts = []

        def has_come_to_rest():
            counts.append(agent.number("echo", "tokens"))
            return len(counts) > 3 and counts[-1] == counts[-4]

        wait_until(has_come_to_rest, "no further token", interval=0.1)
        assert agent.number("echo", "running") == 1
    agent.wait_idle("echo", 5)


def test_clients_that_do_not_read_cost_the_bridge_little(agent):
    ask = json.dumps({"model": "echo", "messages": user(), "stream": True, "max_tokens": 1_000_000})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {agent.host}\r\nContent-Length: {len(ask)}\r\n\r\n"
    before = resident_kibibytes(agent.bridge())
    with contextlib.ExitStack() as open_ones:
        for _ in range(4):
            connection = open_ones.enter_context(socket.create_connection((agent.host, agent.port)))
            connection.sendall((head + ask).encode())
        counts = []

        def has_come_to_rest():
            counts.append(agent.number("echo", "tokens"))
            return len(counts) > 3 and counts[-1] == counts[-4] > 0

        wait_until(has_come_to_rest, "no further token", 60, interval=0.1)
        # What was sent fills the buffers of the kernel: megabytes of pieces of some hundred bytes.
        assert SANITIZED or resident_kibibytes(agent.bridge()) < before + 24_000
        assert httpx.get(f"{agent.base}/v1/models").status_code == 200
    agent.wait_idle("echo", 10)


def test_a_stream_that_failed_never_looks_finished():
    paths = [
        ("/v1/chat/completions", b'data: {"error":'),
        ("/v1/messages", b"event: error\ndata: "),
        ("/api/chat", b'\n{"error":'),
    ]
    with HTTPAgent() as agent:
        begun = threading.Barrier(len(paths) + 1)

        def read(path):
            ask = {"model": "echo", "messages": user(), "stream": True, "max_tokens": 100_000_000}
            if path == "/api/chat":
                ask["options"] = {"num_predict": ask.pop("max_tokens")}
            body = b""
            with pytest.raises(httpx.RemoteProtocolError):
                with httpx.stream("POST", agent.base + path, json=ask, timeout=60) as answer:
                    for piece in answer.iter_bytes():
                        if not body:
                            begun.wait(30)
                        body = body[-2_000:] + piece
            return body[-2_000:]

        with concurrent.futures.ThreadPoolExecutor() as pool:
            ends = [pool.submit(read, path) for path, _ in paths]
            begun.wait(30)
            # What it runs on ends soon, and nothing takes its place.
            (agent.backend_folder / "echo").rename(agent.folder / "away")
            for end, (_, error) in zip(ends, paths):
                tail = end.result(60)
                assert error in tail, tail
                assert b"[DONE]" not in tail and b"message_stop" not in tail and b'"done":true' not in tail


def test_a_bridge_that_dies_comes_back_and_grpc_does_not_notice(agent):
    async def scenario():
        async with connect(agent) as channel:
            request = echo.request(PROMPT, max_tokens=20_000, seed=3)
            call = rpc.InferenceStub(channel).Generate(request)
            turn = Turn()
            for _ in range(5):
                turn.receive(await call.read())
            before = agent.bridge()
            os.kill(before, signal.SIGKILL)
            await eventually(lambda: (agent.bridge() or before) != before, "another bridge")
            assert httpx.get(f"{agent.base}/v1/models").status_code == 200
            shown = agent.status()["bridge"]
            assert shown["state"] == "running" and shown["restarts"] >= 1 and "signal 9" in shown["detail"]
            logged = agent.command_line("logs", "--state", agent.state, "http")
            assert re.search(r"^\S+ \S+ http\[\d+\]: \(has ended: .*signal 9", logged, re.M), logged
            told = agent.command_line("status", "--state", agent.state)
            assert re.search(r"^http bridge +running, pid \d+, tier full", told, re.M)
            echo.check(await read_turn(call, turn), request)

    run(scenario())


def test_another_agent_takes_over_the_address():
    with HTTPAgent() as old:
        new = copy.copy(old)
        new.command = [*old.command, "--take-over"]
        new.command[new.command.index("--listen") + 1] = old.addresses[0]
        new.command[new.command.index("--http") + 1] = old.addresses[-1]
        new.log_name, new.clean_up = "log-of-successor", lambda: None
        # Longer than what is on its way while nobody reads.
        ask = {"model": "echo", "messages": user(), "stream": True, "max_tokens": 30_000}
        with httpx.stream("POST", f"{old.base}/v1/chat/completions", json=ask, timeout=60) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            with new:
                assert new.base == old.base and new.bridge() != old.bridge()
                for _ in range(20):
                    assert httpx.get(f"{new.base}/v1/models").status_code == 200
                # The old one ends its stream, and then itself.
                assert [line for line in lines if line][-1] == "data: [DONE]"
                wait_until(lambda: old.process.poll() is not None, "the end of the old agent", 30)
                assert httpx.get(f"{new.base}/v1/models").status_code == 200


def test_the_bridge_is_held(agent):
    status = pathlib.Path(f"/proc/{agent.bridge()}/status").read_text()
    assert re.search(r"^Seccomp:\t2$", status, re.M) and re.search(r"^NoNewPrivs:\t1$", status, re.M)
    # It sees no file, and no network but the sockets that it was given.
    assert os.listdir(f"/proc/{agent.bridge()}/root") == []
    for name in ("net", "pid", "mnt", "user"):
        assert os.readlink(f"/proc/{agent.bridge()}/ns/{name}") != os.readlink(f"/proc/{agent.pid}/ns/{name}")
    # The control: it serves all the same.
    assert httpx.get(f"{agent.base}/v1/models").status_code == 200


def test_keys_are_the_agents():
    with ClosedHTTPAgent() as agent:
        full, narrow = agent.first_key, agent.create("narrow", "--model", "other")

        def chat(**headers):
            ask = {"model": "echo", "messages": user(), "max_tokens": 1}
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return refused(agent, "/v1/chat/completions", ask, headers=named)

        assert chat(authorization=f"Bearer {full}").status_code == 200
        assert chat(x_api_key=full).status_code == 200
        nobody = chat()
        assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "invalid_api_key")
        assert nobody.headers["www-authenticate"] == "Bearer"
        assert chat(authorization="Bearer hearth_wrong").status_code == 401
        assert chat(authorization="Bearer sk-other").status_code == 401
        wait_until(lambda: chat(authorization=f"Bearer {narrow}").status_code != 401, "the other key is known")
        assert chat(authorization=f"Bearer {narrow}").status_code == 403
        assert narrow not in agent.log() and full not in agent.log()


# What does not hold here, and why.
COMPLY_LEFT_OUT = {
    # Messages are text.
    "chat-image-input", "image-input", "anth-image-input",
    # echo never ends by itself.
    "anth-basic-response", "anth-system-prompt", "anth-multi-turn",
}


@pytest.mark.parametrize("protocol", ["openai-chat", "open-responses", "anthropic"])
def test_an_independent_suite_finds_no_other_fault(agent, protocol):
    suite = pathlib.Path(sys.executable).with_name("llm-comply")
    ended = subprocess.run(
        [suite, "-u", f"{agent.base}/v1", "-k", "none", "-m", "echo", "--format", protocol, "--json"],
        capture_output=True, text=True, timeout=120,
    )
    results = json.loads(ended.stdout)["results"]
    assert len(results) >= 9
    faults = {one["id"]: one["errors"] for one in results if one["status"] == "failed"}
    assert set(faults) <= COMPLY_LEFT_OUT, faults
    assert sum(one["status"] == "passed" for one in results) >= 3
