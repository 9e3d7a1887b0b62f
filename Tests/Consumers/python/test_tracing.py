"""Traces: whose they are, what their spans say, and how they reach a collector."""

import http.client
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import echo
import grpc
import pytest
from agent import Agent, wait_until
from certificates import new_pair
from collector import Collector, attributes
from consumer import connect, failure, pb, read_turn, rpc, run

PARTS = {"queue", "prefill", "decode", "send"}
# In no span and in no line of the log.
PROMPT = "mellifluous-secret"


@pytest.fixture(scope="module")
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def agent(collector):
    port = free_port()
    options = ["--otlp-endpoint", f"http://127.0.0.1:{collector.port}", "--http", f"127.0.0.1:{port}"]
    with Agent(options=[*options, "--trace-ratio", "0", "--log-format", "json"]) as agent:
        agent.http = f"http://127.0.0.1:{port}"
        yield agent


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def parent(sampled=True):
    """A caller's span: its trace, itself, and the field."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-0{int(sampled)}"


def ask(agent, request, *metadata):
    """The turn, and the moments before and after, in nanoseconds since 1970."""

    async def scenario():
        async with connect(agent) as channel:
            before = time.time_ns()
            turn = await read_turn(rpc.InferenceStub(channel).Generate(request, metadata=metadata, timeout=60))
            return turn, before, time.time_ns()

    return run(scenario())


def check(spans, trace, caller, before, after):
    """One tree, within the call; a turn of several tokens has every part."""
    (whole,) = (span for span in spans.values() if span.kind == 2)
    assert set(spans) >= PARTS
    assert whole.parent_span_id.hex() == caller
    assert len({span.span_id for span in spans.values()}) == len(spans)
    for span in spans.values():
        assert span.trace_id.hex() == trace
        assert before <= whole.start_time_unix_nano <= span.start_time_unix_nano
        assert span.start_time_unix_nano <= span.end_time_unix_nano <= whole.end_time_unix_nano <= after
        if span is not whole:
            assert span.parent_span_id == whole.span_id
    for one, next_ in (("queue", "prefill"), ("prefill", "decode"), ("decode", "send")):
        assert spans[one].end_time_unix_nano == spans[next_].start_time_unix_nano
    return whole


def test_a_turn_over_grpc_is_a_part_of_its_callers_trace(agent, collector):
    trace, caller, field = parent()
    request = echo.request(PROMPT, max_tokens=5, ids=True)
    turn, before, after = ask(agent, request, ("traceparent", field), ("tracestate", "a=1,b=2"))
    echo.check(turn, request)
    whole = check(collector.of(trace, 5), trace, caller, before, after)
    assert whole.trace_state == "a=1,b=2"
    said = attributes(whole)
    assert said["gen_ai.request.model"] == said["gen_ai.response.model"] == "echo"
    assert said["gen_ai.operation.name"] in ("chat", "text_completion")
    assert whole.name == f"{said['gen_ai.operation.name']} echo"
    assert said["gen_ai.request.max_tokens"] == 5
    assert said["gen_ai.usage.input_tokens"] == turn.usage.prompt_tokens
    assert said["gen_ai.usage.output_tokens"] == 5
    assert said["gen_ai.response.finish_reasons"] == ["length"]
    assert (said["rpc.service"], said["rpc.method"]) == ("hearth.v1.Inference", "Generate")
    assert said["rpc.grpc.status_code"] == 0 and whole.status.code == 0
    host, port = agent.address.rsplit(":", 1)
    assert (said["server.address"], said["server.port"]) == (host, int(port))
    resource = attributes(collector.exports[0].resource_spans[0].resource)
    assert resource["service.name"] == "hearth" and resource["host.name"] == socket.gethostname()
    assert agent.status()["version"] == resource["service.version"]


def test_a_turn_over_http_is_a_part_of_its_callers_trace(agent, collector):
    trace, caller, field = parent()
    body = json.dumps({"model": "echo", "max_tokens": 5, "messages": [{"role": "user", "content": PROMPT}]}).encode()
    asked = urllib.request.Request(agent.http + "/v1/chat/completions", body)
    asked.add_header("content-type", "application/json")
    asked.add_header("traceparent", field)
    asked.add_header("tracestate", "rojo=1")
    before = time.time_ns()
    with urllib.request.urlopen(asked, timeout=60) as answer:
        usage = json.load(answer)["usage"]
    whole = check(collector.of(trace, 5), trace, caller, before, time.time_ns())
    assert whole.trace_state == "rojo=1" and whole.name == "chat echo"
    said = attributes(whole)
    assert said["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    assert said["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]


ONE_MESSAGE = {
    "embeddings": ("Embed", pb.EmbedRequest(model="echo", inputs=[pb.EmbedInput(text=PROMPT)], dimensions=64)),
    "rerank": ("Rerank", pb.RerankRequest(model="echo", query=PROMPT, documents=["one", PROMPT])),
    "count_tokens": ("CountTokens", pb.GenerateRequest(model="echo", text=PROMPT)),
    "tokenize": ("Tokenize", pb.GenerateRequest(model="echo", text=PROMPT)),
    "detokenize": ("Detokenize", pb.GenerateRequest(model="echo", token_ids=pb.TokenIds(ids=[1, 2]))),
}


@pytest.mark.parametrize("operation", ONE_MESSAGE)
def test_what_is_answered_in_one_message_is_a_part_of_its_callers_trace(agent, collector, operation):
    trace, caller, field = parent()
    method, request = ONE_MESSAGE[operation]

    async def scenario():
        async with connect(agent) as channel:
            before = time.time_ns()
            call = getattr(rpc.InferenceStub(channel), method)
            return await call(request, metadata=(("traceparent", field),), timeout=60), before, time.time_ns()

    answer, before, after = run(scenario())
    spans = collector.of(trace, 3)
    assert set(spans) == {operation, "queue", "compute"}
    whole, queue, compute = spans[operation], spans["queue"], spans["compute"]
    assert whole.name == f"{operation} echo" and whole.kind == 2 and whole.parent_span_id.hex() == caller
    assert {queue.parent_span_id, compute.parent_span_id} == {whole.span_id}
    moments = [before, whole.start_time_unix_nano, queue.end_time_unix_nano, compute.end_time_unix_nano]
    moments += [whole.end_time_unix_nano, after]
    assert moments == sorted(moments) and queue.end_time_unix_nano == compute.start_time_unix_nano
    said = attributes(whole)
    assert said["gen_ai.operation.name"] == operation and said["gen_ai.request.model"] == "echo"
    assert (said["rpc.method"], said["rpc.grpc.status_code"]) == (method, 0)
    assert said.get("gen_ai.usage.input_tokens") == getattr(answer, "prompt_tokens", None)
    assert said.get("gen_ai.embeddings.dimension.count") == (64 if operation == "embeddings" else None)


def test_a_request_for_vectors_over_http_that_fails_says_so_in_its_span(agent, collector):
    trace, caller, field = parent()
    body = json.dumps({"model": "echo", "input": PROMPT, "dimensions": 3}).encode()
    asked = urllib.request.Request(agent.http + "/v1/embeddings", body)
    asked.add_header("content-type", "application/json")
    asked.add_header("traceparent", field)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(asked, timeout=60)
    assert refusal.value.code == 400
    spans = collector.of(trace, 2)
    whole = spans["embeddings"]
    assert set(spans) == {"embeddings", "queue"} and whole.parent_span_id.hex() == caller
    assert attributes(whole)["error.type"] == "INVALID_ARGUMENT" and whole.status.code == 2


def test_what_is_no_trace_is_ignored_and_no_error(agent, collector):
    request = echo.request("none", max_tokens=2, ids=True)
    not_sampled, *_, unsampled = parent(sampled=False)
    broken, *_, field = parent()
    for value in (unsampled, field.upper(), field + "-more", "00"):
        echo.check(ask(agent, request, ("traceparent", value))[0], request)
    body = json.dumps({"model": "echo", "max_tokens": 2, "messages": [{"role": "user", "content": "x"}]}).encode()
    # gRPC's library in Python sends the last of two parents only.
    for fields in ([("traceparent", field)] * 2, [("traceparent", "\u00e4")], [("tracestate", "\u00e4" * 600)]):
        connection = http.client.HTTPConnection(agent.http.removeprefix("http://"), timeout=60)
        connection.putrequest("POST", "/v1/chat/completions")
        for name, value in [("content-type", "application/json"), ("content-length", str(len(body))), *fields]:
            connection.putheader(name, value)
        connection.endheaders(body)
        assert connection.getresponse().status == 200
        connection.close()
    # The ratio is 0, so those after which a trace begins anew are not recorded either: only this one is.
    last, caller, field = parent()
    ask(agent, request, ("traceparent", field))
    collector.of(last, 5)
    assert not {span.trace_id.hex() for span in collector.spans} & {not_sampled, broken, broken.upper()}


def test_a_turn_that_fails_says_so_in_its_span_and_in_the_log(agent, collector):
    trace, caller, field = parent()

    async def scenario():
        async with connect(agent) as channel:
            request = echo.request(f"{PROMPT} of a fault", max_tokens=4, fault="internal")
            metadata = (("traceparent", field),)
            call = rpc.InferenceStub(channel).Generate(request, metadata=metadata, timeout=60)
            return await failure(read_turn(call))

    error = run(scenario())
    whole = next(span for span in collector.of(trace).values() if span.kind == 2)
    assert whole.status.code == 2 and whole.status.message == ""
    assert attributes(whole)["error.type"] == error.code().name
    assert attributes(whole)["rpc.grpc.status_code"] == error.code().value[0]
    lines = [json.loads(line) for line in agent.log().splitlines()]
    (line,) = (line for line in lines if line.get("trace_id") == trace)
    assert line["message"] == "a turn has failed" and line["span_id"] == whole.span_id.hex()
    assert line["metadata"] == {"model": "echo", "status": error.code().name}


def test_a_call_that_its_consumer_ends_was_cancelled(agent, collector):
    trace, caller, field = parent()

    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Generate(
                echo.request("endless", max_tokens=100_000), metadata=(("traceparent", field),))
            async for event in call:
                if event.WhichOneof("event") == "delta":
                    break
            call.cancel()

    run(scenario())
    whole = next(span for span in collector.of(trace).values() if span.kind == 2)
    assert attributes(whole)["error.type"] == "CANCELLED" and whole.status.code == 2


def test_the_owner_sees_how_the_export_goes(agent, collector):
    export = agent.status()["traceExport"]
    assert export["state"] == "exporting" and int(export["spansExported"]) > 0
    assert f"exporting to http://127.0.0.1:{collector.port}" in agent.command_line("status", "--state", agent.state)
    metrics = agent.command_line("metrics", "--state", agent.state)
    assert re.search(r'^hearth_trace_spans_total\{result="exported"\} [1-9]', metrics, re.M)
    assert "hearth_trace_export_failing 0\n" in metrics


def test_nothing_of_a_prompt_or_an_answer_is_exported_or_logged(agent, collector):
    assert collector.exports and PROMPT.encode() not in collector.bytes
    assert PROMPT not in agent.log()
    for line in agent.log().splitlines():
        entry = json.loads(line)
        assert list(entry)[:4] == ["time", "level", "label", "message"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])


def closed_file(folder, name, text):
    """A file that only the agent can read."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    if os.getuid() == 0:
        shutil.chown(path, "nobody")
    return path


def test_an_export_is_protected_carries_its_headers_and_is_made_again_until_it_is_taken():
    agent = Agent()
    key, certificate = new_pair(agent.folder, "collector", "localhost", ["subjectAltName=DNS:localhost"])
    headers = closed_file(agent.folder, "headers", "# the collector's\nX-Token: very-hidden\n")
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    refusals = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS]
    with Collector(credentials=credentials, refusals=refusals) as collector:
        agent.command += ["--otlp-endpoint", f"https://localhost:{collector.port}", "--otlp-ca", certificate]
        agent.command += ["--otlp-headers-file", headers]
        with agent:
            request = echo.request("safe", max_tokens=2, ids=True)
            echo.check(ask(agent, request)[0], request)
            wait_until(lambda: collector.spans, "the third export is taken", 30)
            assert [entry["x-token"] for entry in collector.metadata] == ["very-hidden"] * 3
            (whole,) = (span for span in collector.spans if span.kind == 2)
            assert whole.parent_span_id == b"" and len(whole.trace_id) == 16
            assert "very-hidden" not in agent.log()


def test_what_waits_is_exported_when_the_agent_ends():
    with Collector() as collector:
        with Agent(options=["--otlp-endpoint", f"http://127.0.0.1:{collector.port}"]) as agent:
            request = echo.request("last", max_tokens=2, ids=True)
            echo.check(ask(agent, request)[0], request)
        assert {span.name.split(" ")[0] for span in collector.spans} >= PARTS


def test_a_collector_that_cannot_be_reached_harms_nobody():
    with Agent(options=["--otlp-endpoint", f"http://127.0.0.1:{free_port()}"]) as agent:
        request = echo.request("alone", max_tokens=3, ids=True)
        echo.check(ask(agent, request)[0], request)
        export = wait_until(
            lambda: (export := agent.status()["traceExport"])["state"] == "failing" and export, "the export fails", 30)
        assert "cannot connect" in export["detail"] and int(export["failingSinceMilliseconds"]) > 0
        assert int(export["spansWaiting"]) == 5
        echo.check(ask(agent, request)[0], request)
        assert agent.log().count("traces cannot be exported") == 1


@pytest.mark.parametrize("options, words", [
    (["--otlp-endpoint", "http://192.0.2.1:4317"], "spans would cross the network unprotected"),
    (["--otlp-endpoint", "https://localhost", "--otlp-ca", "/nonexistent"], "otlp-ca"),
    (["--otlp-ca", "/nonexistent"], "need otlp-endpoint"),
    (["--otlp-endpoint", "http://127.0.0.1", "--otlp-headers-file", "OPEN"], "chmod 600"),
    (["--otlp-endpoint", "http://127.0.0.1", "--otlp-headers-file", "WRONG"], "WRONG:2: write NAME: VALUE"),
    (["--log-format", "xml"], "text or json"),
])
def test_settings_that_cannot_be_used_end_the_start_in_words(options, words):
    agent = Agent(options=options)
    try:
        (agent.folder / "OPEN").write_text("a: b\n")
        (agent.folder / "OPEN").chmod(0o644)
        closed_file(agent.folder, "WRONG", "a: b\nhidden-word\n")
        command = [agent.folder / word if word in ("OPEN", "WRONG") else word for word in agent.command]
        answer = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
        assert answer.returncode == 78, answer.stderr
        assert words in answer.stderr and "hidden-word" not in answer.stderr
    finally:
        agent.clean_up()
