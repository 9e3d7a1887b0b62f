"""The owner's REST, /metrics and Ollama's pull, by raw requests over HTTP with an owner's key."""

import asyncio
import json
import os
import re
import shutil
import subprocess

import echo
import httpx
import jsonschema
import pytest
import registry as play
from agent import PREFIX, wait_until
from consumer import connect, eventually, pb, read_turn, rpc, run
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.parser import text_string_to_metric_families
from registry import DOCKER_WEIGHTS, Registry
from test_http import HTTPAgent, pytestmark, user  # noqa: F401

ECHO = {"serves": ["gguf"], "memoryMebibytes": 100, "models": [{"id": "echo"}]}


class OwnedAgent(HTTPAgent):
    """An agent with a bridge, an owner's key and one of a consumer; what lies in its folder of models is loaded on demand."""

    def __init__(self):
        super().__init__()
        (self.backend_folder / "echo.json").write_text(json.dumps(ECHO))
        if os.getuid() == 0:
            shutil.chown(self.model_folder, "nobody")

    def __enter__(self):
        super().__enter__()
        self.owners, self.consumers = self.key("page", "--owner"), self.key("laptop")
        for key, code in ((self.owners, 200), (self.consumers, 403)):
            wait_until(lambda: self.get("status", key=key).status_code == code, "the keys are in force")
        return self

    def key(self, name, *options):
        return self.command_line("key", "create", "--state", self.state, name, *options).strip()

    def ask(self, method, path, key=..., **options):
        key = self.owners if key is ... else key
        headers = {**({"authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
        path = path if path.startswith("/") else f"/hearth/v1/{path}"
        return httpx.request(method, self.base + path, headers=headers, timeout=60, **options)

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.ask("POST", path, json=body, **options) if body is not None else self.ask("POST", path, **options)

    def known(self, path, **options):
        """The object of an answer that is no refusal."""
        answer = self.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def agent():
    with OwnedAgent() as started:
        yield started
        # No secret gets into a log, whatever was refused.
        assert started.owners not in started.log() and started.consumers not in started.log()


@pytest.fixture(scope="module")
def description(agent):
    return httpx.get(f"{agent.base}/hearth/v1/openapi.json").json()


def refusal(answer):
    """The status code and the status of an answer that is a refusal."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "status"} and error["code"] == answer.status_code and error["message"]
    return answer.status_code, error["status"]


PATHS = ["status", "models", "models/echo", "ps", "turns", "backends", "limits", "keys", "denied/echo", "logs/echo?model=echo"]


def test_an_owners_key_opens_what_is_the_owners_and_nothing_else(agent):
    for path in [*PATHS, "/metrics"]:
        assert refusal(agent.get(path, key=None)) == (401, "UNAUTHENTICATED"), path
        assert refusal(agent.get(path, key=agent.consumers)) == (403, "PERMISSION_DENIED"), path
        assert agent.get(path).status_code == 200, path
    nobody = agent.post("pause", {}, key=None)
    assert refusal(nobody)[0] == 401 and nobody.headers["www-authenticate"] == "Bearer"
    assert "hearth key create --owner" in nobody.json()["error"]["message"]
    for wrong in ("hearth_" + "A" * 43, "sk-other", "hearth_short"):
        assert refusal(agent.post("pause", {}, key=wrong)) == (401, "UNAUTHENTICATED")
    assert refusal(agent.post("pause", {}, key=agent.consumers)) == (403, "PERMISSION_DENIED")
    assert "hold" not in agent.known("status")
    # Either way to send a key is as good.
    assert agent.get("status", key=None, headers={"x-api-key": agent.owners}).status_code == 200
    # It gives no inference, over HTTP and over gRPC, where the owner's service is not served at all.
    ask = {"model": "echo", "messages": user(), "max_tokens": 1}
    assert agent.post("/v1/chat/completions", ask).status_code == 403
    assert agent.post("/v1/chat/completions", ask, key=agent.consumers).status_code == 200
    assert agent.get("/v1/models").status_code == 403

    async def over_grpc(key):
        async with connect(agent) as channel:
            metadata = [("authorization", f"Bearer {key}")] if key else []
            call = channel.unary_unary("/hearth.admin.v1.Admin/GetStatus")(b"", metadata=metadata, timeout=20)
            return (await call.code()).name

    assert [run(over_grpc(key)) for key in (agent.owners, agent.consumers, None)] == [
        "PERMISSION_DENIED", "UNIMPLEMENTED", "UNIMPLEMENTED",
    ]


def test_a_revoked_or_expired_owners_key_opens_nothing(agent):
    short = agent.key("short", "--owner", "--expires", "3s")
    other = agent.key("other", "--owner")
    wait_until(lambda: agent.get("status", key=other).status_code == 200, "it is in force")
    agent.command_line("key", "revoke", "--state", agent.state, "other")
    wait_until(lambda: agent.get("status", key=other).status_code == 401, "it is revoked")
    wait_until(lambda: agent.get("status", key=short).status_code == 401, "it has expired")
    assert "expired" in agent.get("status", key=short).json()["error"]["message"]
    limited = subprocess.run(
        [str(PREFIX / "bin/hearth"), "key", "create", "--state", str(agent.state), "x", "--owner", "--streams", "1"],
        capture_output=True, text=True, timeout=60,
    )
    assert limited.returncode != 0 and "no limits" in limited.stderr and not limited.stdout
    told = agent.command_line("key", "list", "--state", agent.state)
    assert [line.split()[:2] for line in told.splitlines()[1:3]] == [["page", "owner"], ["laptop", "consumer"]]


def test_the_description_is_valid_and_describes_the_answers(agent, description):
    OpenAPIV31SpecValidator(description).validate()
    strict = json.loads(json.dumps(description))
    for schema in strict["components"]["schemas"].values():
        schema["additionalProperties"] = False

    def fits(path, answer):
        schema = strict["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": strict["components"]}).validate(answer)

    for path in PATHS:
        described = path.split("?")[0].replace("/echo", "/{model}" if path.startswith("models") else "/{backend}")
        fits(f"/hearth/v1/{described}", agent.known(path))
    # The control.
    with pytest.raises(jsonschema.ValidationError):
        fits("/hearth/v1/status", {**agent.known("status"), "colour": 1})


def test_what_the_command_shows_is_there(agent):
    status = agent.known("status")
    assert status["pid"] == agent.pid and status["bridge"]["state"] == "running"
    assert {backend["model"] for backend in status["backends"]} >= {"echo", "other"}
    (model,) = [model for model in agent.known("models")["models"] if model["id"] == "echo"]
    assert (model["state"], model["backend"], model["waiting"]) == ("ready", "echo", 0)
    assert agent.known("models/echo")["model"] == "echo"
    assert all(backend["pid"] for backend in agent.known("ps")["backends"])
    shown = agent.command_line("limits", "--state", agent.state)
    limits = agent.known("limits")["limits"]
    assert len(limits) > 50 and all(limit["name"] in shown for limit in limits)
    log = agent.known("logs/other")
    again = agent.known(f"logs/other?after={log['last_number']}&log={log['log']}")
    assert again["lines"] == [] and again["log"] == log["log"]
    assert refusal(agent.get("logs/none")) == (404, "NOT_FOUND")
    assert refusal(agent.get("denied/none")) == (404, "NOT_FOUND")
    assert refusal(agent.get("models/none")) == (404, "NOT_FOUND")
    assert refusal(agent.get("stop")) == (404, "NOT_FOUND")
    assert refusal(agent.get("pause")) == (405, "UNIMPLEMENTED")
    assert agent.get("status?colour=1").json()["error"]["message"].startswith("the query parameter 'colour'")
    assert "'unlaod'" in agent.post("pause", {"unlaod": True}).json()["error"]["message"]
    assert "hold" not in agent.known("status")
    assert agent.get("status").headers["cache-control"] == "no-store"
    head = agent.ask("HEAD", "status")
    assert head.status_code == 200 and head.content == b""


def test_metrics_are_those_of_the_command(agent):
    answer = agent.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    told = agent.command_line("metrics", "--state", agent.state)
    assert set(families) == {family.name for family in text_string_to_metric_families(told)}
    ready = {sample.labels["model"]: sample.value for sample in families["hearth_backend_ready"].samples}
    assert ready["echo"] == 1
    promtool = shutil.which("promtool")
    if promtool:
        checked = subprocess.run([promtool, "check", "metrics"], input=answer.text, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    else:
        print("promtool (Debian: prometheus) is missing, and was not asked")


def test_a_stream_stands_still_while_the_owner_pauses_and_goes_on_to_the_byte(agent):
    async def scenario():
        async with connect(agent) as channel:
            request = echo.request("paused", max_tokens=400, tokens_per_second=100, ids=True)
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            held = await asyncio.to_thread(agent.post, "pause", {"unload": False})
            assert held.json()["hold"] == {"pause": "frozen", "draining": False} and held.json()["running"] == 1
            assert agent.known("status")["hold"]["pause"] == "frozen"
            assert refusal(agent.post("models/echo/load")) == (400, "FAILED_PRECONDITION")
            reading = asyncio.create_task(read_turn(call, turn))
            await eventually(lambda: turn.paused, "it was told")
            assert (await asyncio.to_thread(agent.post, "resume")).json()["hold"] == {"pause": "", "draining": False}
            await reading
            assert turn.resumed == 1
            echo.check(turn, request)

    run(scenario())
    assert agent.post("drain").json()["hold"]["draining"] is True
    ask = {"model": "echo", "messages": user(), "max_tokens": 1}
    assert agent.post("/v1/chat/completions", ask, key=None).status_code == 503
    agent.post("resume")
    assert "hold" not in agent.known("status")
    assert agent.post("/v1/chat/completions", ask, key=None).status_code == 200


def test_the_owner_sees_for_whom_it_computes_and_not_what(agent):
    asked = {"model": "echo", "messages": user("xyzzy over HTTP"), "max_tokens": 5}

    def turns():
        return agent.known("turns")["turns"]

    async def scenario():
        async with connect(agent) as channel:
            request = echo.request("xyzzy over gRPC", max_tokens=200, tokens_per_second=100)
            metadata = [("authorization", f"Bearer {agent.consumers}")]
            call = rpc.InferenceStub(channel).Generate(request, metadata=metadata)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            (first,) = await asyncio.to_thread(turns)
            assert {name: first[name] for name in ("task", "caller_kind", "caller", "through", "model", "state", "choices", "priority")} == {
                "task": "generate", "caller_kind": "key", "caller": "laptop", "through": "grpc", "model": "echo",
                "state": "running", "choices": 1, "priority": "normal",
            }
            assert first["tokens"] >= 5 and first["tokens_per_second"] > 0 and "position" not in first
            assert 0 <= first["running_milliseconds"] <= first["age_milliseconds"]
            await asyncio.to_thread(agent.post, "pause", {"unload": False})
            waiting = asyncio.create_task(asyncio.to_thread(agent.post, "/v1/chat/completions", asked, key=None))
            await eventually(lambda: len(turns()) == 2, "the other one waits")
            told = await asyncio.to_thread(agent.get, "turns")
            paused, other = told.json()["turns"]
            assert told.json()["count"] == 2
            assert (paused["number"], paused["state"], paused["caller"]) == (first["number"], "paused", "laptop")
            assert (other["caller_kind"], other["caller"], other["through"]) == ("none", "", "http")
            assert (other["state"], other["position"], other["tokens"]) == ("waiting", 0, 0)
            assert "running_milliseconds" not in other
            shown = await asyncio.to_thread(agent.command_line, "turns", "--state", agent.state)
            assert [line.split("  ")[0] for line in shown.splitlines()] == ["FOR", "key laptop", "no key"]
            counted = json.loads(await asyncio.to_thread(agent.command_line, "turns", "--state", agent.state, "--json"))
            assert counted["count"] == 2 and "xyzzy" not in shown + json.dumps(counted) + told.text
            await asyncio.to_thread(agent.post, "resume")
            await read_turn(call, turn)
            assert (await waiting).status_code == 200

    run(scenario())
    assert agent.known("turns") == {"turns": [], "count": 0}
    assert agent.command_line("turns", "--state", agent.state) == "Nothing runs, and nobody waits.\n"


def test_the_owner_sees_which_turns_go_on_without_their_consumers(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            metadata = [("authorization", f"Bearer {agent.consumers}")]
            request = echo.request("absent", max_tokens=100_000, tokens_per_second=100)
            request.resumable_for.seconds = 60
            call = stub.Generate(request, metadata=metadata)
            first = await call.read()
            await call.read()
            (there,) = (await asyncio.to_thread(agent.known, "turns"))["turns"]
            assert there["is_absent"] is False
            call.cancel()
            await eventually(lambda: agent.known("turns")["turns"][0]["is_absent"], "it is absent")
            assert (await asyncio.to_thread(agent.known, "status"))["turns_absent"] == 1
            shown = await asyncio.to_thread(agent.command_line, "turns", "--state", agent.state)
            assert "running, absent" in shown.splitlines()[1]
            told = await asyncio.to_thread(agent.command_line, "status", "--state", agent.state)
            assert re.search(r"^turns +\d+ finished, \d+ not; 1 of absent consumers$", told, re.M), told
            # Whoever comes back is there.
            resumed = stub.Resume(pb.ResumeRequest(resume_token=first.resumable.resume_token), metadata=metadata)
            await resumed.read()
            (there,) = (await asyncio.to_thread(agent.known, "turns"))["turns"]
            assert there["is_absent"] is False
            assert (await asyncio.to_thread(agent.known, "status"))["turns_absent"] == 0
            ended = stub.Resume(
                pb.ResumeRequest(resume_token=first.resumable.resume_token, cancel=True), metadata=metadata)
            async for _ in ended:
                pass

    run(scenario())
    told = agent.command_line("status", "--state", agent.state)
    assert re.search(r"^turns +\d+ finished, \d+ not$", told, re.M), told


def test_a_backend_is_started_anew(agent):
    before = [backend["pid"] for backend in agent.known("ps")["backends"] if backend["name"] == "other"]
    answer = agent.post("backends/other/restart", {"now": True})
    assert answer.json() == {"processes": 1, "running": 0}

    def others():
        return [backend["pid"] for backend in agent.known("ps")["backends"] if backend["name"] == "other"]

    wait_until(lambda: others() and others() != before, "another process")
    assert refusal(agent.post("backends/none/restart")) == (404, "NOT_FOUND")


def test_keys_are_made_shown_once_and_revoked(agent):
    made = agent.post("keys", {"name": "guest", "streams": 2, "models": ["echo"], "expires_in_seconds": 3600}).json()
    secret, key = made["secret"], made["key"]
    assert (key["name"], key["streams"], key["models"], key["is_owner"]) == ("guest", 2, ["echo"], False)
    assert key["expires_milliseconds"] - key["created_milliseconds"] == 3_600_000 and "tokens_per_minute" not in key
    # It is in force at once.
    assert [model["id"] for model in agent.get("/v1/models", key=secret).json()["data"]] == ["echo"]
    assert refusal(agent.get("status", key=secret)) == (403, "PERMISSION_DENIED")
    listed = agent.get("keys")
    assert secret not in listed.text and key in listed.json()["keys"]
    first = agent.known("keys?page_size=1")
    assert len(first["keys"]) == 1 and first["count"] == len(listed.json()["keys"])
    rest = agent.known(f"keys?page_token={first['next_page_token']}")
    assert first["keys"] + rest["keys"] == listed.json()["keys"] and rest["next_page_token"] == ""
    assert (key["share"], key["priority"]) == (1, "normal")
    team = agent.post("keys", {"name": "team", "share": 4, "priority": "high"}).json()["key"]
    assert (team["share"], team["priority"]) == (4, "high") and team in agent.known("keys")["keys"]
    (owners,) = [each for each in agent.known("keys")["keys"] if each["is_owner"]][:1]
    assert "share" not in owners and "priority" not in owners
    for wrong in ({"share": 0}, {"share": 1001}, {"priority": "urgent"}, {"priority": ""}):
        assert refusal(agent.post("keys", {"name": "x", **wrong})) == (400, "INVALID_ARGUMENT"), wrong
    assert agent.ask("DELETE", "keys/team").json() == {}
    for body in ({"name": "guest"}, {"name": "a b"}, {}, {"name": "x", "streams": 0}, {"name": "x", "expires_in_seconds": 0}):
        assert refusal(agent.post("keys", body)) == (400, "INVALID_ARGUMENT"), body
    # What has a key cannot make itself another one that outlives it.
    assert "'is_owner'" in agent.post("keys", {"name": "x", "is_owner": True}).json()["error"]["message"]
    assert agent.ask("DELETE", "keys/guest").json() == {}
    assert agent.get("/v1/models", key=secret).status_code == 401
    assert refusal(agent.ask("DELETE", "keys/guest")) == (404, "NOT_FOUND")
    assert secret not in agent.log()


@pytest.fixture(scope="module")
def hub():
    registry = Registry()
    registry.small = registry.push("ai/fox", "latest", [(DOCKER_WEIGHTS, os.urandom(100_000))])
    registry.other = registry.push("ai/wolf", "latest", [(DOCKER_WEIGHTS, os.urandom(50_000))])
    yield registry
    registry.close()


def test_a_model_is_pulled_loaded_and_unloaded(agent, hub):
    pulled = agent.post("pull", {"source": hub.small})
    assert pulled.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in pulled.text.splitlines()]
    assert all(set(line) == set(lines[0]) for line in lines)
    assert (lines[-1]["event"], lines[-1]["name"]) == ("done", "fox")
    model = lines[-1]["model"]

    def shown():
        return next((one for one in agent.known("models")["models"] if one["id"] == model), {})

    wait_until(lambda: shown().get("state") == "unloaded", "it is offered")
    assert shown()["is_on_demand"] and shown()["file_bytes"] == 100_000
    assert agent.post(f"models/{model.replace(':', '%3A')}/load").json()["model"]["state"] == "ready"
    assert shown()["unload_in_milliseconds"] > 0
    assert agent.post(f"models/{model}/unload").json() == {"processes": 1, "running": 0}
    wait_until(lambda: shown()["state"] == "unloaded", "it is unloaded")
    assert refusal(agent.post("models/other/unload")) == (400, "FAILED_PRECONDITION")
    assert refusal(agent.post("models/none/load")) == (404, "NOT_FOUND")


def test_a_pull_that_fails_says_so_and_one_that_cannot_begin_is_refused(agent, hub):
    events = agent.post("pull", {"source": f"{hub.address}/ai/none"}, headers={"accept": "text/event-stream"})
    assert events.headers["content-type"] == "text/event-stream"
    last = json.loads(events.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["event"] == "failed" and "manifest unknown" in last["text"] and last["exit_code"] == 1
    assert refusal(agent.post("pull", {"source": "two words"})) == (400, "INVALID_ARGUMENT")
    assert refusal(agent.post("pull", {})) == (400, "INVALID_ARGUMENT")
    assert refusal(agent.post("pull", {"source": hub.small}, key=agent.consumers))[0] == 403
    # Who goes ends it.
    hub.tricks = [play.Pause(1_000)]
    with httpx.stream(
        "POST", f"{agent.base}/hearth/v1/pull", json={"source": hub.other},
        headers={"authorization": f"Bearer {agent.owners}"}, timeout=30,
    ) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines))["event"] == "resolving"
        wait_until(lambda: agent.known("models")["pulls"], "it is under way")
    wait_until(lambda: not agent.known("models")["pulls"], "it has ended")


def test_ollamas_pull_is_the_owners(agent, hub):
    hub.forget()
    ask = {"model": hub.other}
    nobody = agent.post("/api/pull", ask, key=None)
    assert nobody.status_code == 401 and "hearth key create --owner" in nobody.json()["error"]
    assert agent.post("/api/pull", ask, key=agent.consumers).status_code == 403
    lines = [json.loads(line) for line in agent.post("/api/pull", ask).text.splitlines()]
    assert lines[0] == {"status": "pulling manifest"} and lines[-1] == {"status": "success"}
    assert agent.post("/api/pull", {**ask, "stream": False}).json() == {"status": "success"}
    refused = agent.post("/api/pull", {"model": f"{hub.address}/ai/none", "stream": False})
    assert refused.status_code == 400 and "manifest unknown" in refused.json()["error"]
    assert "'insecure'" in agent.post("/api/pull", {**ask, "insecure": True}).json()["error"]
