"""The command line as a person meets it: help, one line for an error, and the exit codes that the README lists."""

import os
import subprocess

import pytest
from agent import PREFIX, Agent


def hearth(*words, **options):
    return subprocess.run(
        [PREFIX / "bin/hearth", *map(str, words)], capture_output=True, text=True, timeout=60, **options
    )


COMMANDS = "serve|chat|models|backends|backends denied|status|limits|metrics|token|doctor|sandbox run|policy learn"


@pytest.mark.parametrize("command", [[], *(words.split() for words in COMMANDS.split("|"))])
def test_every_command_explains_itself_with_examples(command):
    help_text = hearth(*command, "--help")
    assert help_text.returncode == 0 and help_text.stderr == ""
    assert "EXAMPLES" in help_text.stdout and "USAGE: hearth" in help_text.stdout


def test_nobody_answering_is_told_in_one_line_with_the_remedy(tmp_path):
    for words in (["models", "--to", f"unix:{tmp_path}/none"], ["status", "--state", tmp_path]):
        answer = hearth(*words)
        assert answer.returncode == 69
        assert answer.stderr.count("\n") == 1 and "hearth serve" in answer.stderr


def test_a_setting_that_cannot_be_is_told_in_one_line(tmp_path):
    settings = tmp_path / "hearth.json"
    settings.write_text('{"lissten": []}')
    answer = hearth("serve", "--config", settings)
    assert answer.returncode == 78
    assert answer.stderr.count("\n") == 1 and "'lissten'" in answer.stderr
    answer = hearth("serve", "--plaintext", "--listen", "0.0.0.0:0")
    assert answer.returncode == 78
    assert answer.stderr.count("\n") == 1 and "TLS" in answer.stderr


@pytest.mark.parametrize(
    "member, expected, found",
    [
        ('"tls-client-subject": "alice"', "a list of names", '"alice"'),
        ('"listen": "127.0.0.1:50099"', "a list of addresses", '"127.0.0.1:50099"'),
        ('"tier": 5', "full", "5"),
        ('"require-token": null', "true or false", "null"),
        ('"require-token": true, "require-token": false', "twice", "require-token"),
    ],
)
def test_a_setting_of_another_type_stops_the_start(tmp_path, member, expected, found):
    settings = tmp_path / "hearth.json"
    settings.write_text("{\n" + member + "\n}")
    answer = hearth("serve", "--config", settings)
    assert answer.returncode == 78 and answer.stdout == ""
    assert answer.stderr.count("\n") == 1 and f"{settings}:2:" in answer.stderr
    assert expected in answer.stderr and found in answer.stderr


@pytest.mark.parametrize("variable", ["HEARTH_TEIR", "HEARTH_REQUIRE_TOKENS", "HEARTH_CONFIG"])
def test_a_variable_that_was_meant_to_be_a_setting_stops_the_start(variable):
    answer = hearth("serve", env={**os.environ, variable: "x"})
    assert answer.returncode == 78
    assert answer.stderr.count("\n") == 1 and variable in answer.stderr


def test_every_setting_has_a_flag_that_the_help_explains(tmp_path):
    settings = tmp_path / "hearth.json"
    settings.write_text('{"no such thing": 1}')
    keys = hearth("serve", "--config", settings).stderr.split("there are ")[1].strip().split(", ")
    assert len(keys) > 20
    help_text = hearth("serve", "--help").stdout
    for key in keys:
        flag = "--device" if key == "devices" else f"--{key}"
        assert f"  {flag} " in help_text or f"  {flag}\n" in help_text, key


def test_a_wrong_flag_is_a_usage_error():
    assert hearth("chat", "--nonsense").returncode == 64
    assert hearth("chat", "--to", "nowhere").returncode == 64


def test_a_file_that_is_not_run_is_named_with_the_reason_and_the_remedy():
    agent = Agent()
    (agent.backend_folder / "notes").write_text("no backend")
    loose = agent.backend_folder / "loose"
    loose.write_bytes((agent.backend_folder / "echo").read_bytes())
    loose.chmod(0o777)
    with agent:
        told = agent.command_line("backends", "--state", agent.state)
        assert "notes is not run" in told and "chmod +x" in told
        assert "loose is not run" in told and "chmod go-w" in told
        assert set(agent.backends()) == {"echo"}
