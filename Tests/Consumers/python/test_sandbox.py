"""What the sandbox shows: tier and residual risks wherever a person or a consumer looks, and what a backend was denied."""

import json
import pathlib
import re
import shutil

import echo
import grpc
import pytest
from agent import Agent
from consumer import connect, first_failure, pb, read_turn, rpc, run

TIER_REDUCED = ["path-existence", "shared-process-numbers", "fewer-layers", "threads-unlimited"]


def names(risks):
    """Of "name: clause" lines, or of JSON objects."""
    return [risk.split(":")[0] if isinstance(risk, str) else risk["name"] for risk in risks]


async def ask(agent, model="echo"):
    """One turn, and what the list says of its model."""
    async with connect(agent) as channel:
        host = rpc.InferenceStub(channel)
        call = host.Generate(pb.GenerateRequest(model=model, text="x", stopping=pb.Stopping(max_tokens=20)))
        turn = await read_turn(call)
        models = (await host.ListModels(pb.ListModelsRequest())).models
        return turn, next(entry for entry in models if entry.id == model)


@pytest.mark.parametrize("tier", ["full", "reduced"])
def test_tier_and_residual_risks_are_shown_wherever_the_state_is(tier):
    with Agent(options=["--tier", tier]) as agent:
        turn, model = run(ask(agent))
        assert turn.accepted.sandbox_tier == model.sandbox_tier == tier
        risks = names(turn.accepted.residual_risks)
        assert risks[0] == "shared-kernel"
        assert [risk for risk in risks if risk in TIER_REDUCED] == (TIER_REDUCED if tier == "reduced" else [])
        assert names(model.residual_risks) == risks

        backend = agent.backends()["echo"]
        assert backend["sandboxTier"] == tier
        assert names(backend["residualRisks"]) == risks
        assert all(risk["exposure"] and risk["remedy"] for risk in backend["residualRisks"])
        status = json.loads(agent.command_line("status", "--state", agent.state, "--json"))
        assert status["sandboxTier"] == tier and names(status["residualRisks"]) == risks
        for words in (["status"], ["backends"]):
            text = agent.command_line(*words, "--state", agent.state)
            assert f"tier {tier}" in text and all(risk in text for risk in risks)

        log = agent.log()
        assert f"held in sandbox tier {tier}, or does not start" in log
        assert re.findall(r"what remains open: ([a-z-]+):", log) == risks


def test_what_was_denied_is_shown_with_its_meaning_and_the_policies_that_allow_it():
    with Agent() as agent:
        run(ask(agent))
        answer = json.loads(agent.command_line("backends", "denied", "echo", "--state", agent.state, "--json"))
        calls = {call["name"]: call for call in answer["calls"]}
        # The C library of every static program asks for its own path as it starts.
        denied = calls["readlink"]
        assert denied["model"] == "echo" and int(denied["count"]) >= 1 and denied["errno"] == 13
        assert "python" in denied["allowedBy"] and "strict" not in denied["allowedBy"]
        assert denied["meaning"] and int(denied["firstSeenMilliseconds"]) > 1_700_000_000_000
        assert int(agent.backends()["echo"]["deniedCalls"]) == sum(int(call["count"]) for call in answer["calls"])
        text = agent.command_line("backends", "denied", "echo", "--state", agent.state)
        assert re.search(r"^readlink +\d+ +Permission denied ", text, re.M)
        assert "\nreadlink: it serves to " in text


def python_backend(readable):
    """A copy of CPython as a backend, its script in a folder that the owner lets it read."""
    script = pathlib.Path(__file__).parent / "backends/counting.py"
    shutil.copyfile(script, readable / "counting.py")
    manifest = {
        "policy": "python",
        "readOnlyPaths": ["/usr", str(readable)],
        "arguments": [str(readable / "counting.py"), "as asked"],
        "models": [{"id": "counting"}],
    }
    return manifest


@pytest.mark.skipif(not pathlib.Path("/usr/bin/python3").exists(), reason="needs Debian's python3")
def test_a_backend_in_python_runs_under_the_python_policy():
    agent = Agent(backends={})
    readable = agent.folder / "readable"
    readable.mkdir(mode=0o755)
    manifest = python_backend(readable)
    target = agent.backend_folder / "cpython"
    shutil.copyfile(pathlib.Path("/usr/bin/python3").resolve(), target)
    target.chmod(0o755)
    (agent.backend_folder / "cpython.json").write_text(json.dumps(manifest))
    agent.models.append("counting")
    agent.command += ["--readable", "/usr", "--readable", readable]
    with agent:
        turn, model = run(ask(agent, "counting"))
        assert turn.text == "".join(f"{number} " for number in range(1, 21))
        assert turn.accepted.backend == "counting/as asked"

        async def beyond_it():
            def asked(change):
                request = echo.request("x", model="counting")
                change(request)
                return request

            # The backend, which knows nothing of capabilities, does not see them.
            requests = {
                "adapters": asked(lambda request: request.adapters.adapters.add(name="formal")),
                "samplers": asked(lambda request: setattr(request.sampling, "typical_p", 1)),
                "logit_bias": asked(lambda request: request.sampling.logit_bias.add(token_id=1)),
                "min_tokens": asked(lambda request: setattr(request.stopping, "min_tokens", 1)),
                "logprobs": asked(lambda request: setattr(request.output, "logprobs", 0)),
            }
            async with connect(agent) as channel:
                for capability, request in requests.items():
                    error, events = await first_failure(rpc.InferenceStub(channel).Generate(request))
                    assert error.code() == grpc.StatusCode.UNIMPLEMENTED and not events
                    assert f"lacks the capability '{capability}'" in error.details()

        run(beyond_it())


def test_what_the_owner_does_not_allow_is_refused_with_the_setting_that_would():
    manifest = {"policy": "python", "readOnlyPaths": ["/usr"], "models": [{"id": "asking"}]}
    agent = Agent(backends={"asking": manifest, "echo": None})
    agent.models.remove("asking")
    with agent:
        backend = agent.backends()["asking"]
        assert backend["state"] == "failed"
        assert "asks to read /usr, which the owner does not allow; allow it with 'readable'" in backend["detail"]
