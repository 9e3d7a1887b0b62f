"""`hearth chat` as a conversation on a terminal: the line editor, its history, its commands, and what it shows."""

import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest
from agent import PREFIX, Agent, descendants, wait_until
from terminal import Terminal, plain

UP, LEFT, HOME = "\x1b[A", "\x1b[D", "\x1b[H"
SLOWLY = ("--option", "tokens_per_second=5")
BRIEFLY = ("--max-tokens", "3")


@pytest.fixture(scope="module")
def agent():
    with Agent() as running:
        yield running


def converse(agent, *words, **options):
    terminal = Terminal("chat", "--to", agent.address, *words, **options)
    terminal.read_until("> ")
    return terminal


def ask(terminal, keys, end="cut at the longest length"):
    """Types it and Enter; what the terminal showed until the next prompt."""
    terminal.type(keys + "\r")
    shown = terminal.read_until(end)
    return shown + terminal.read_until("> ")


def questions(terminal, path):
    """What was asked, by what is saved; ends the conversation."""
    terminal.type(f"/save {path}\r")
    terminal.read_until("saved in")
    terminal.read_until("> ")
    terminal.type("\x04")
    assert terminal.end() == 0 and terminal.is_as_before
    turns = path.read_text().split("\n\n")[1:]
    return ["\n".join(line[2:] for line in turn.splitlines() if line.startswith(">")) for turn in turns]


def test_a_line_is_edited_before_it_is_sent(agent, tmp_path):
    terminal = converse(agent, *BRIEFLY)
    ask(terminal, "wrld" + 3 * LEFT + "o" + HOME + "hello \x05!")
    ask(terminal, "one two three\x17\x17\x19")
    ask(terminal, "日本x\x7f語" + LEFT + "\x1b[3~")
    ask(terminal, "e\u0301\x7fa")
    # Nobody could continue it, so that Ctrl-Z does not stop it.
    ask(terminal, "no\x1a stop")
    assert questions(terminal, tmp_path / "saved") == ["hello world!", "one two ", "日本", "a", "no stop"]


def test_the_history_goes_on_in_the_next_conversation(agent, tmp_path):
    variables = {"XDG_STATE_HOME": tmp_path}
    terminal = converse(agent, *BRIEFLY, variables=variables)
    for question in ("first", "second"):
        ask(terminal, question)
    ask(terminal, UP + UP + "!")
    assert questions(terminal, tmp_path / "one") == ["first", "second", "first!"]
    kept = tmp_path / "hearth/chat-history"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    terminal = converse(agent, *BRIEFLY, variables=variables)
    ask(terminal, "\x12sec")
    terminal.type("draft" + UP + "\x1b[B\x1b[B")
    ask(terminal, " stays")
    assert questions(terminal, tmp_path / "two") == ["second", "draft stays"]


def test_a_history_that_cannot_be_kept_is_told_once_and_no_error(agent, tmp_path):
    (tmp_path / "hearth").write_text("no folder")
    terminal = Terminal("chat", "--to", agent.address, *BRIEFLY, variables={"XDG_STATE_HOME": tmp_path})
    assert "is not kept" in terminal.read_until("> ")
    assert "is not kept" not in ask(terminal, "one") + ask(terminal, "two")
    ask(terminal, UP + UP)
    assert questions(terminal, tmp_path / "saved") == ["one", "two", "one"]


def test_what_is_typed_while_an_answer_comes_is_the_next_prompt_and_no_part_of_the_answer(agent, tmp_path):
    terminal = converse(agent, *SLOWLY)
    terminal.type("slowly\r")
    terminal.read_until("\n")
    terminal.read_until(" ")
    terminal.type("ahead")
    answer = "".join(terminal.read_until(" ") + " " for _ in range(4))
    terminal.type("\x03")
    answer += terminal.read_until("[cancelled]")
    assert "ahead" not in answer and len(answer.split()) > 2
    terminal.read_until("> ")
    terminal.read_until("ahead")
    terminal.type(" of it\r")
    terminal.read_until("\n")
    terminal.read_until(" ")
    terminal.type("\x03")
    terminal.read_until("> ")
    assert questions(terminal, tmp_path / "saved") == ["slowly", "ahead of it"]


def test_a_paste_of_several_lines_is_one_prompt(agent, tmp_path):
    terminal = converse(agent, *BRIEFLY)
    ask(terminal, "\x1b[200~one\rtwo\n\x03three\x1b[201~")
    ask(terminal, '"""a\r\rb"""')
    ask(terminal, "c\x1b\rd")
    assert questions(terminal, tmp_path / "saved") == ["one\ntwo\nthree", "a\n\nb", "c\nd"]


def test_control_c_gives_up_what_is_written_and_ends_nothing_else(agent, tmp_path):
    terminal = converse(agent, *BRIEFLY, *SLOWLY)
    terminal.type("given up\x03")
    terminal.read_until("> ")
    terminal.type('"""given up\r')
    terminal.read_until("... ")
    terminal.type("\x03")
    terminal.read_until("> ")
    terminal.type("given up")
    terminal.read_until("given up")
    # As Ctrl-C, whoever sends it.
    os.kill(terminal.pid, signal.SIGINT)
    terminal.read_until("> ")
    ask(terminal, "kept")
    # At once, before the request is on its way.
    terminal.type("ended\r\x03")
    terminal.read_until("[cancelled]")
    terminal.read_until("> ")
    assert questions(terminal, tmp_path / "saved") == ["kept", "ended"]


def test_control_s_holds_an_answer_up_and_control_c_ends_it(agent):
    terminal = converse(agent, "--option", "tokens_per_second=50")
    terminal.type("quickly\r")
    terminal.read_until("\n")
    terminal.read_until(" ")
    terminal.type("\x13")
    # What was on its way arrives; then, while nobody types, nothing may come for the time of 25 tokens.
    time.sleep(0.5)
    terminal.read_some()
    terminal.text = ""
    time.sleep(0.5)
    terminal.read_some()
    assert terminal.text == ""
    terminal.type("\x03")
    terminal.read_until("> ")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_control_z_stops_the_job_with_the_terminal_as_it_was(agent):
    shell = Terminal("--norc", "--noediting", "-i", variables={"PS1": "shell$ "}, program="/bin/bash")
    shell.read_until("shell$ ")
    shell.type(f"{PREFIX}/bin/hearth chat --to {agent.address} --option tokens_per_second=5\n")
    shell.read_until("\n")
    shell.read_until("> ")
    assert not shell.echoes
    shell.type("slow")
    shell.read_until("slow")
    (chat,) = (pid for pid in descendants(shell.pid) if "hearth" in os.readlink(f"/proc/{pid}/exe"))
    # The last one it does not see, but that it goes on.
    for number in (None, signal.SIGTSTP, signal.SIGSTOP):
        if number is None:
            shell.type("\x1a")
        else:
            os.kill(chat, number)
        shell.read_until("Stopped")
        shell.read_until("shell$ ")
        assert shell.echoes
        shell.type("fg\n")
        shell.read_until("> ")
        shell.read_until("slow")
    shell.type("ly\r")
    shell.read_until("\n")
    shell.read_until(" ")
    shell.type("\x1a")
    shell.read_until("Stopped")
    shell.read_until("shell$ ")
    assert shell.echoes
    shell.type("fg\n")
    wait_until(lambda: not shell.echoes, "it goes on")
    shell.type("\x03")
    shell.read_until("[cancelled]")
    shell.read_until("> ")
    shell.type("\x04")
    shell.read_until("shell$ ")
    assert shell.echoes
    shell.type("exit\n")
    assert shell.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGABRT, signal.SIGSEGV])
@pytest.mark.parametrize("answers", [False, True])
def test_however_it_ends_the_terminal_is_as_it_was(agent, number, answers):
    terminal = converse(agent, *SLOWLY)
    assert not terminal.echoes
    if answers:
        terminal.type("slowly\r")
        terminal.read_until("\n")
        terminal.read_until(" ")
    os.kill(terminal.pid, number)
    if number == signal.SIGINT:  # as Ctrl-C: no end
        terminal.type("\x03\x04" if answers else "\x04")
        assert terminal.end() == 0
    else:
        assert terminal.end() in (-number, 128 + number)
    assert terminal.is_as_before and "\x1b[?2004l" in terminal.text


def test_colours_are_left_out_where_nobody_wants_them(agent):
    colour = re.compile(r"\x1b\[[0-9;]*m")
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"TERM": None}, False)):
        terminal = Terminal("chat", "--to", agent.address, *BRIEFLY, variables=variables)
        shown = terminal.read_until("> ") + ask(terminal, "a")
        terminal.type("\x04")
        assert terminal.end() == 0
        assert bool(colour.search(shown)) == coloured, variables
        if "TERM" in variables:
            assert "\x1b" not in shown + terminal.text


def test_a_pipe_gets_the_answer_and_nothing_else(agent):
    words = [PREFIX / "bin/hearth", "chat", "--to", agent.address, "--max-tokens", "3", "a"]
    answer = subprocess.run(words, capture_output=True, timeout=60, env={**os.environ, "TERM": "xterm"})
    assert answer.returncode == 0
    assert answer.stderr == b"[cut at the longest length]\n" and b"\x1b" not in answer.stdout


def test_what_a_model_reasons_is_a_note_beside_its_answer(agent, tmp_path):
    options = ("--option", "echo=1", "--option", "reasoning=2")
    terminal = converse(agent, *options)
    shown = ask(terminal, "well then yes indeed", end="yes indeed")
    assert "\x1b[2m well\x1b[0m\x1b[2m then\x1b[0m\n\n yes indeed" in shown.replace("\r\n", "\n")
    saved = tmp_path / "saved"
    assert questions(terminal, saved) == ["well then yes indeed"]
    assert "<  yes indeed" in saved.read_text() and "<  well" not in saved.read_text()
    words = [PREFIX / "bin/hearth", "chat", "--to", agent.address, *options, "well then yes indeed"]
    answer = subprocess.run(words, capture_output=True, timeout=60)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b" yes indeed\n", b"")


HOSTILE = "\x1b]52;c;aGk=\x07 \x1b[2J \x9b31m \u202e"


def test_what_a_model_says_never_reaches_the_terminal_raw(agent, tmp_path):
    saved = tmp_path / "hostile"
    escaped = "".join(c if " " <= c < "\x7f" and c != "\\" else f"\\u{{{ord(c):x}}}" for c in HOSTILE)
    saved.write_text(f"hearth conversation 1\n\n>\\{escaped}\n<\\{escaped}\n")
    terminal = converse(agent, "--option", "echo=1", variables={"NO_COLOR": "1"})
    terminal.type(f"/load {saved}\r")
    terminal.read_until("1 turn]")
    terminal.read_until("> ")
    terminal.type("again\r")
    terminal.read_until("\n")
    answer = terminal.read_until("> ")
    assert "]52;c;aGk=" in answer and "[2J" in answer
    assert not any(c in answer for c in "\x1b\x07\x9b\u202e")
    assert questions(terminal, tmp_path / "again")[-1] == "again"
    # What was saved says what was said, and steers nothing either.
    text = (tmp_path / "again").read_bytes()
    assert b"\x1b" not in text and escaped.encode() in text


def test_a_conversation_that_was_saved_goes_on(agent, tmp_path):
    saved = tmp_path / "saved"
    terminal = converse(agent, *BRIEFLY, "--system", "Be brief.")
    ask(terminal, "one")
    ask(terminal, "\x1b[200~two\n> three\x1b[201~")
    questions(terminal, saved)
    assert saved.read_text().startswith("hearth conversation 1\n\n= Be brief.\n\n> one\n< ")
    terminal = converse(agent, *BRIEFLY)
    terminal.type(f"/load {saved}\r")
    terminal.read_until("2 turns")
    terminal.read_until("> ")
    ask(terminal, "/system", end="Be brief.")
    copy = tmp_path / "copy"
    questions(terminal, copy)
    assert copy.read_bytes() == saved.read_bytes()


def test_what_cannot_be_loaded_is_refused_and_the_conversation_stays(agent, tmp_path):
    older = tmp_path / "older"
    older.write_text("> hello\n\nan answer\n")
    terminal = converse(agent, *BRIEFLY)
    ask(terminal, "one")
    ask(terminal, f"/load {older}", end="earlier version")
    ask(terminal, f"/load {tmp_path}/none", end="No such file")
    ask(terminal, f"/load {tmp_path}", end="no regular file")
    ask(terminal, f"/save {older}", end="File exists")
    assert older.read_text().startswith("> hello")
    assert questions(terminal, tmp_path / "saved") == ["one"]


def test_instructions_change_what_is_asked_for(agent, tmp_path):
    terminal = converse(agent)
    shown = ask(terminal, "/help", end="/bye")
    assert "/system" in shown and "/load" in shown
    ask(terminal, "/sav x", end="did you mean /save?")
    ask(terminal, "/etc/passwd", end="'//'")
    ask(terminal, "/set max_tokens 2", end="max_tokens is 2")
    ask(terminal, "/set temperature 9", end="0 to 2")
    ask(terminal, "/set temprature 1", end="did you mean 'temperature'?")
    ask(terminal, "/stats on", end="[")
    ask(terminal, "//slash", end=" 2 tokens")
    ask(terminal, "/system Be brief.", end="[")
    ask(terminal, "/show", end="max_tokens")
    ask(terminal, "/models", end="echo")
    ask(terminal, "/model ecco", end="did you mean 'echo'?")
    ask(terminal, "/model echo", end="echo answers")
    ask(terminal, "plain", end=" 2 tokens")
    saved = tmp_path / "saved"
    assert questions(terminal, saved)[-2:] == ["/slash", "plain"]
    assert "= Be brief." in saved.read_text()
    terminal = converse(agent, *BRIEFLY)
    ask(terminal, "forgotten")
    ask(terminal, "/clear", end="is forgotten")
    ask(terminal, f"/save {tmp_path}/none", end="nothing has been said")
    terminal.type("/bye\r")
    assert terminal.end() == 0 and terminal.is_as_before


def test_a_long_line_survives_another_width(agent, tmp_path):
    terminal = converse(agent, *BRIEFLY, columns=20)
    words = " ".join(f"word{number}" for number in range(12))
    terminal.type(words)
    terminal.read_until("word11")
    terminal.resize(33)
    terminal.read_until("word11")
    ask(terminal, HOME + "first ")
    assert questions(terminal, tmp_path / "saved") == ["first " + words]


def test_a_request_that_waits_says_so_in_one_line_that_goes_away():
    manifest = {"models": [{"id": "echo", "maxSequences": 1}]}
    with Agent({"echo": manifest}) as agent:
        first = converse(agent, *SLOWLY)
        first.type("slowly\r")
        first.read_until("\n")
        first.read_until(" ")
        second = converse(agent, *BRIEFLY)
        second.type("now\r")
        second.read_until("[waiting, 0 before this]")
        piped = subprocess.Popen(
            [PREFIX / "bin/hearth", "chat", "--to", agent.address, *BRIEFLY, "x"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert piped.stderr.readline() == "[waiting, 1 before this]\n"
        first.type("\x03")
        answer = second.read_until("cut at the longest length")
        assert "[waiting" not in plain(answer) and answer.startswith("\x1b[0m\r\x1b[K")
        told = piped.communicate(timeout=30)[1].splitlines()
        assert told in (["[waiting, 0 before this]", "[cut at the longest length]"], ["[cut at the longest length]"])
        for terminal in (first, second):
            terminal.read_until("> ")
            terminal.type("\x04")
            assert terminal.end() == 0


def test_a_model_that_is_being_loaded_says_how_far_it_is():
    with Agent({"echo": {"models": [{"id": "echo", "options": {"load_delay_ms": "3000"}}]}}) as agent:
        terminal = converse(agent, *BRIEFLY)
        os.kill(agent.number("echo", "pid"), signal.SIGKILL)
        wait_until(lambda: agent.number("echo", "restarts") == 1, "it was started again")
        shown = ask(terminal, "now")
        assert re.search(r"\r\x1b\[K\x1b\[2m\[loading the model, \d+ %\]", shown)
        # One line, written anew and then gone.
        assert " %]\r\n" not in plain(shown)
        terminal.type("\x04")
        assert terminal.end() == 0


def test_a_conversation_outlives_a_restart_of_its_host_and_says_when_it_does_not_come_back(tmp_path):
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{asked.getsockname()[1]}"
    # The conversation's open stream would have the whole grace.
    with Agent(listen=(address,), options=["--grace", "0"]) as agent:
        terminal = converse(agent, *BRIEFLY)
        ask(terminal, "one")
        agent.process.terminate()
        assert agent.process.wait(timeout=30) == 0
        # This one waits for the host that is being started.
        terminal.type("two\r")
        agent.log_name = "later"
        agent.__enter__()
        terminal.read_until("cut at the longest length")
        terminal.read_until("> ")
        agent.process.terminate()
        assert agent.process.wait(timeout=30) == 0
        ask(terminal, "three", end=f"cannot connect to {address}")
        assert questions(terminal, tmp_path / "saved") == ["one", "two"]
