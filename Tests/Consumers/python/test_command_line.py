"""The command line as a person meets it: help, one line for an error, and the exit codes that the README lists."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import echo
import pytest
from agent import PREFIX, Agent, is_alive, wait_until
from terminal import Terminal


def hearth(*words, **options):
    return subprocess.run(
        [PREFIX / "bin/hearth", *map(str, words)], capture_output=True, text=True, timeout=60, **options
    )


COMMANDS = (
    "serve|chat|tokenize|embed|rerank|pull|models|models show|models remove|models rename|backends|backends denied|backends check|backends trust|status|limits|metrics|key|doctor|logs|ps|run"
    "|sandbox run|policy learn"
)


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
        ('"require-key": null', "true or false", "null"),
        ('"require-key": true, "require-key": false', "twice", "require-key"),
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
    # A command's old name is answered with the new one.
    older = hearth("token", "create", "guest", "--expires", "30d")
    assert older.returncode == 64 and "hearth key create" in older.stderr
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


AGENTLESS = [
    ["policy", "list"], ["policy", "show", "strict"], ["policy", "explain", "strict"], ["policy", "check"], ["--help"],
    ["serve", "--help"], ["--version"],
]


def asking(state):
    """Every command that asks a running agent for something and prints it."""
    owner = [[*words.split(), "--state", state] for words in (
        "status|status --json|backends|backends --json|backends denied echo|limits|limits --json|metrics|logs|logs echo"
    ).split("|")]
    return [*owner, ["key", "list", "--state", state]]


@pytest.fixture(scope="module")
def agent():
    with Agent(backends={"echo": {"models": [{"id": "echo", "contextTokens": 24}]}}) as running:
        os.kill(running.number("echo", "pid"), signal.SIGKILL)  # there is something in its log then
        wait_until(lambda: running.number("echo", "restarts") == 1, "it was started again")
        running.wait_ready("echo")
        yield running


def everything(agent):
    consumer = [["models", "--to", agent.address], ["models", "--json", "--to", agent.address],
                ["chat", "--to", agent.address, "Hello"], ["tokenize", "--to", agent.address, "Hello"],
                ["embed", "--to", agent.address, "Hello"], ["rerank", "--to", agent.address, "Who?", "Hello"]]
    return [*AGENTLESS, *asking(agent.state), *consumer]


def test_a_prompt_is_shown_as_tokens_and_tokens_as_text(agent):
    def tokenize(*words):
        return hearth("tokenize", "--to", agent.address, *words)

    lines = tokenize("a\n b\x1b").stdout.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == ['"a"', '"\\n b\\u{1B}"']
    assert tokenize("--chat", "--system", "Be brief.", "--text", "Hi").stdout == "Be brief.\nHi"
    assert tokenize("--ids", "1163,5130").stdout == " hifo hafis"
    assert json.loads(tokenize("--json", "a").stdout)["tokens"][0]["text"] == "YQ=="
    for words, code, told in [
        (("--text", "a"), 64, "--system and --text go with --chat"), (("--ids", "1,x"), 64, "'x' is no token id"),
        (("--ids", "8192"), 1, "8192 is no token of echo"), (("",), 64, "the text is empty"),
    ]:
        answer = tokenize(*words)
        assert answer.returncode == code and told in answer.stderr and not answer.stdout, answer


def test_an_answer_is_held_to_the_form_that_a_file_or_the_command_names(agent, tmp_path):
    def chat(*words):
        return hearth("chat", "--to", agent.address, *words, "Hello")

    (tmp_path / "schema").write_text('{"enum": ["yes", "no"]}')
    (tmp_path / "grammar").write_text('root ::= "ha"{2}')
    (tmp_path / "bytes").write_bytes(b"\xff")
    assert chat("--schema", tmp_path / "schema").stdout in ('"yes"\n', '"no"\n')
    assert chat("--grammar", tmp_path / "grammar").stdout == "haha\n"
    assert chat("--choice", "left", "--choice", "right").stdout in ("left\n", "right\n")
    for words, code, told in [
        (("--choice", "a", "--grammar", tmp_path / "grammar"), 64, "use one of them"),
        (("--schema", tmp_path / "none"), 64, "--schema"), (("--schema", tmp_path / "bytes"), 64, "is no UTF-8"),
        (("--schema", tmp_path / "grammar"), 1, "format.json_schema"),
    ]:
        answer = chat(*words)
        assert answer.returncode == code and told in answer.stderr and not answer.stdout, answer


def test_texts_are_shown_as_vectors_and_documents_with_their_scores(agent):
    def ask(*words, **options):
        return hearth(words[0], "--to", agent.address, *words[1:], **options)

    shown = ask("embed", "--no-normalise", "a", "b c").stdout.splitlines()
    vectors = [[float(number) for number in line.split(" ")] for line in shown]
    assert vectors == [pytest.approx(echo.vector(text, 64)) for text in ("a", "b c")]
    assert ask("embed", "--no-normalise", input="a\n\nb c\n").stdout.splitlines() == shown
    answer = json.loads(ask("embed", "--pooling", "last", "--json", "a").stdout)
    assert len(answer["embeddings"][0]["vector"]) == 64 and answer["promptTokens"] == 1
    scores = {document: echo.score("who?", document) for document in ("x", "y", "z")}
    best = sorted(scores, key=scores.get, reverse=True)
    lines = ask("rerank", "--top", "2", "who?", *scores).stdout.splitlines()
    assert [line.split("  ")[1] for line in lines] == [f'"{document}"' for document in best[:2]]
    assert float(lines[0].split("  ")[0]) == pytest.approx(scores[best[0]])
    for words, code, told in [
        (("embed", ""), 64, "a text is empty"), (("embed", "--pooling", "max", "a"), 64, "max"),
        (("embed", "--dimensions", "9", "a"), 1, "dimensions is 9"), (("rerank", "who?", ""), 64, "a text is empty"),
    ]:
        answer = ask(*words)
        assert answer.returncode == code and told in answer.stderr and not answer.stdout, answer


def test_a_full_disk_is_told_of_and_is_a_failure(agent):
    for words in everything(agent):
        with open("/dev/full", "w") as full:
            answer = subprocess.run(
                [PREFIX / "bin/hearth", *map(str, words)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert answer.returncode == 1, words
        assert answer.stderr.count("\n") == 1 and "No space left on device" in answer.stderr, words


def test_a_key_that_could_not_be_shown_is_not_kept(agent):
    with open("/dev/full", "w") as full:
        assert subprocess.run(
            [PREFIX / "bin/hearth", "key", "create", "lost", "--state", agent.state], stdout=full, timeout=60,
            stderr=subprocess.DEVNULL).returncode == 1
    assert "lost" not in agent.command_line("key", "list", "--state", agent.state)


def test_a_reader_that_has_gone_ends_a_command_quietly(agent):
    for words in everything(agent):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as pipe:
            answer = subprocess.run(
                [PREFIX / "bin/hearth", *map(str, words)], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60)
        assert answer.returncode == 141 and answer.stderr == "", words


def test_closed_standard_streams_are_no_surprise(agent):
    """No socket becomes a standard stream, and no command ends in a trap."""
    for words in everything(agent):
        for closed in (">&-", "<&- >&-", "<&- >&- 2>&-"):
            line = f'exec "$0" "$@" {closed}'
            answer = subprocess.run(
                ["bash", "-c", line, str(PREFIX / "bin/hearth"), *map(str, words)], capture_output=True, text=True, timeout=60)
            assert answer.returncode == 1, (words, closed)
            if "2>" not in closed:
                assert answer.stderr.count("\n") == 1 and "cannot be written" in answer.stderr, (words, closed)


@pytest.mark.parametrize("redirection, says", [("<&-", "Bad file descriptor"), ("</tmp", "Is a directory")])
def test_standard_input_that_cannot_be_read_is_told_of(agent, redirection, says):
    line = f'exec "$0" chat --to "$1" {redirection}'
    answer = subprocess.run(
        ["bash", "-c", line, PREFIX / "bin/hearth", agent.address], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1 and says in answer.stderr


def test_standard_input_that_is_no_text_is_told_of(agent):
    answer = subprocess.run(
        [PREFIX / "bin/hearth", "chat", "--to", agent.address], input=b"\xff\xfe\0", capture_output=True, timeout=60)
    assert answer.returncode == 1 and b"UTF-8" in answer.stderr


def environment(**variables):
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("XDG_", "HEARTH_")) and name != "HOME"}
    return {**kept, **variables}


@pytest.mark.parametrize("variables", [{}, {"HOME": ""}, {"HOME": "relative"}, {"LANG": "C", "NO_COLOR": "1"}])
def test_without_a_home_nothing_of_the_owner_lies_where_others_write(variables):
    answer = hearth("status", env=environment(**variables))
    assert answer.returncode in (69, 78)
    assert "/tmp" not in answer.stderr and answer.stderr.count("\n") == 1


def test_an_empty_state_folder_is_no_folder():
    assert hearth("status", "--state", "").returncode == 78
    assert "HEARTH_STATE" in hearth("status", env=environment(HEARTH_STATE="")).stderr


def test_an_agent_that_was_stopped_is_told_of():
    with Agent() as agent:
        os.kill(agent.pid, signal.SIGSTOP)
        try:
            answer = hearth("status", "--state", agent.state)
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        assert answer.returncode == 69
        assert answer.stderr.count("\n") == 1 and "stopped" in answer.stderr


def test_a_socket_of_another_program_is_no_agent(tmp_path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "admin.sock"))
        other.listen()
        thread = threading.Thread(target=lambda: other.accept()[0].sendall(b"SSH-2.0-no\r\n"), daemon=True)
        thread.start()
        answer = hearth("status", "--state", tmp_path)
    assert answer.returncode == 69 and answer.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_a_conversation_outlives_errors_and_a_full_context(agent, tmp_path, kind):
    terminal = Terminal("chat", "--to", agent.address, "--max-tokens", "3", variables={"TERM": kind})
    for number in range(8):
        terminal.read_until("> ")
        terminal.type(f"word{number} and more\n")
        terminal.read_until("cut at the longest length")
    terminal.read_until("> ")
    terminal.type(" ".join(["word"] * 40) + "\n")
    assert "no longer seen" not in terminal.read_until("even without what was said before")
    terminal.read_until("> ")
    terminal.type("again\n")
    terminal.read_until("cut at the longest length")
    terminal.read_until("> ")
    saved = tmp_path / "saved"
    terminal.type(f"/save {saved}\n")
    terminal.read_until("saved in")
    terminal.read_until("> ")
    terminal.type("\x04")
    assert terminal.end() == 0
    text = saved.read_text()
    assert all(f"> word{number} and more" in text for number in range(8)) and "> again" in text


def test_a_conversation_outlives_the_agent():
    folder = tempfile.mkdtemp(prefix="hearth-consumer-")
    os.chmod(folder, 0o777)
    address = f"unix:{folder}/socket"
    first = Agent(listen=[address])
    with first:
        terminal = Terminal("chat", "--to", address, "--max-tokens", "3")
        terminal.read_until("> ")
        terminal.type("first\n")
        terminal.read_until("cut at the longest length")
        terminal.read_until("> ")
    terminal.type("second\n")
    terminal.read_until("hearth serve")
    terminal.read_until("> ")
    with Agent(listen=[address]):
        terminal.type("third\n")
        terminal.read_until("cut at the longest length")
        terminal.read_until("> ")
        terminal.type("\x04")
        assert terminal.end() == 0
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_control_c_ends_the_answer_and_not_the_conversation(agent, kind):
    words = ["chat", "--to", agent.address, "--option", "tokens_per_second=5"]
    terminal = Terminal(*words, variables={"TERM": kind})
    terminal.read_until("> ")
    terminal.type("slowly\n")
    terminal.read_until(" ")
    terminal.type("\x03")
    terminal.read_until("[cancelled]")
    terminal.read_until("> ")
    terminal.type("\x03")
    terminal.read_until("Ctrl-D ends")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_what_a_model_says_cannot_steer_the_terminal_and_a_pipe_gets_it_as_it_is(agent):
    words = ["chat", "--to", agent.address, "--option", "echo=1", "a\x1b]52;c;aGk=\x07b"]
    terminal = Terminal(*words)
    assert terminal.end() == 0
    assert "\x1b" not in terminal.text and "]52;c;aGk=" in terminal.text
    assert "\x1b]52;c;aGk=\x07" in agent.command_line(*words)


def test_a_table_fits_a_narrow_terminal(agent):
    terminal = Terminal("backends", "--state", agent.state, columns=40)
    assert terminal.end() == 0
    assert "BACKEND    echo\r\n" in terminal.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_every_command_at_once(tmp_path, number):
    """Against something that never answers."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "admin.sock"))
        silent.listen()
        to = f"unix:{tmp_path}/admin.sock"
        for words in (["status", "--state", tmp_path], ["logs", "-f", "--state", tmp_path], ["metrics", "--state", tmp_path],
                      ["chat", "--to", to, "x"], ["models", "--to", to]):
            process = subprocess.Popen([PREFIX / "bin/hearth", *map(str, words)], stderr=subprocess.DEVNULL)
            # Were it closed, the command would have an answer.
            with silent.accept()[0]:
                process.send_signal(number)
                assert process.wait(timeout=8) in (-number, 128 + number), words


def test_how_a_process_failed_is_told_when_another_one_works_again():
    with Agent() as agent:
        assert "failed" not in agent.command_line("backends", "--state", agent.state)
        pid = agent.number("echo", "pid")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: agent.number("echo", "restarts") == 1, "it was started again")
        agent.wait_ready("echo")
        told = agent.command_line("backends", "--state", agent.state)
        assert re.search(r"^echo: its process failed last \d+ s ago: it was killed by signal 9 \(SIGKILL\)", told, re.M), told
        assert "restart after" not in told


def test_a_log_is_followed_until_control_c():
    with Agent() as agent:
        process = subprocess.Popen(
            [PREFIX / "bin/hearth", "logs", "-f", "--state", agent.state], stdout=subprocess.PIPE, text=True)
        assert agent.command_line("logs", "--state", agent.state) == ""
        for round in (1, 2):
            pid = agent.number("echo", "pid")
            os.kill(pid, signal.SIGKILL)
            assert f"echo[{pid}]: (the process was killed" in process.stdout.readline()
            wait_until(lambda: agent.number("echo", "restarts") == round, "it was started again")
            agent.wait_ready("echo")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "" and process.wait(timeout=10) == -signal.SIGINT


def test_a_log_is_followed_when_its_backend_is_removed_and_comes_back():
    with Agent() as agent:
        process = subprocess.Popen(
            [PREFIX / "bin/hearth", "logs", "echo", "-f", "--state", agent.state], stdout=subprocess.PIPE, text=True)

        def end_it_and_read_so():
            pid = agent.number("echo", "pid")
            os.kill(pid, signal.SIGKILL)
            assert f"echo[{pid}]: (the process was killed" in process.stdout.readline()
            wait_until(lambda: agent.number("echo", "pid") not in (0, pid), "it was started again")
            agent.wait_ready("echo")
            return pid

        for lines_before in (1, 2):
            for _ in range(lines_before):
                end_it_and_read_so()
            pid = agent.number("echo", "pid")
            (agent.backend_folder / "echo").unlink()
            wait_until(lambda: "echo" not in agent.backends() and not is_alive(pid), "it is gone")
            agent.add_backend("echo", None)
            wait_until(lambda: "echo" in agent.backends(), "it is found anew")
            agent.wait_ready("echo")
            # Its lines have the numbers again that those of the one before had.
            for _ in range(lines_before + 1):
                end_it_and_read_so()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "" and process.wait(timeout=10) == -signal.SIGINT


def test_a_followed_log_whose_reader_goes_ends_quietly_although_nothing_is_written():
    with Agent() as agent:
        process = subprocess.Popen(
            [PREFIX / "bin/hearth", "logs", "-f", "--state", agent.state],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        assert process.wait(timeout=30) == 141 and process.stderr.read() == b""
        process.stderr.close()


def test_logs_show_what_a_backend_wrote_across_restarts():
    agent = Agent()
    with agent:
        pid = agent.number("echo", "pid")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: agent.number("echo", "restarts") == 1, "it was started again")
        agent.wait_ready("echo")
        lines = agent.command_line("logs", "echo", "--state", agent.state).splitlines()
        assert any(f"echo[{pid}]: (the process was killed" in line for line in lines), lines
        assert agent.command_line("logs", "echo", "-n", "0", "--state", agent.state) == ""
        for words, names in ((["ecco"], "echo"), (["echo", "--model", "none"], "echo"), (["--model", "none"], "echo")):
            answer = hearth("logs", *words, "--state", agent.state)
            assert answer.returncode == 1 and names in answer.stderr.split("there are:")[1]
