"""`hearth run`: one command from a file to an answer, with an agent that runs and without one."""

import os
import pathlib
import shutil
import subprocess

import echo
import pytest
from agent import PREFIX, SHIPPED, Agent, is_alive, wait_until

HEARTH = str(PREFIX / "bin/hearth")


@pytest.fixture(scope="module")
def agent():
    with Agent({"echo": {"serves": ["words"], "memoryMebibytes": 100}}) as started:
        yield started


@pytest.fixture
def elsewhere(tmp_path_factory):
    """A folder that every user can look into."""
    folder = pathlib.Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run(*arguments, environment=None):
    """As an ordinary user, because an agent does not serve as root."""
    command = [HEARTH, "run", *map(str, arguments)]
    if os.getuid() == 0 and environment is not None:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=environment
    )


def test_a_running_agent_serves_a_file_for_as_long_as_it_is_talked_to(agent, elsewhere):
    path = elsewhere / "fox.words"
    path.write_text("weights")
    answer = run("--state", agent.state, path, "a b c", "--max-tokens", 3, "--seed", 5)
    assert answer.returncode == 0, answer.stderr
    # Echo is asked with a message, of which it makes one text.
    assert len(answer.stdout.split()) == 3 and all(f" {word}" in echo.WORDS for word in answer.stdout.split())
    wait_until(lambda: not agent.backends(), "given back")


def test_what_is_no_model_is_told_with_the_reason(agent, elsewhere):
    (elsewhere / "x.bin").write_text("x")
    for name, words in {
        "x.bin": "the backends here serve .words", "y.gguf": f"there is no file {elsewhere}/y.gguf", "": "is a folder",
    }.items():
        answer = run("--state", agent.state, f"{elsewhere}/{name}", "hello")
        assert answer.returncode != 0 and words in answer.stderr
    answer = run("--state", agent.state, "fox", "hello", "--tempperature", 1)
    assert answer.returncode == 64 and "--temperature" in answer.stderr
    answer = run("--state", elsewhere, "fox", "hello")
    assert answer.returncode == 69 and str(elsewhere) in answer.stderr


@pytest.mark.skipif(not (SHIPPED / "llama").exists(), reason="the llama backend is not installed")
def test_without_an_agent_one_is_started_and_ended(elsewhere):
    home, temporary = elsewhere / "home", elsewhere / "tmp"
    for folder in (home, temporary):
        folder.mkdir()
        folder.chmod(0o777)
    environment = {"HOME": str(home), "TMPDIR": str(temporary), "PATH": os.environ["PATH"]}
    model = elsewhere / "Demo-F32.gguf"
    shutil.copy(SHIPPED / "hearth-demo.gguf", model)
    answer = run(model, "Who is Tom?", "--max-tokens", 5, environment=environment)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()
    assert not list(temporary.iterdir()), "nothing of it is left"
    model.write_text("<html>")
    answer = run(model, "Who is Tom?", environment=environment)
    assert answer.returncode != 0 and "an HTML page, not a model" in answer.stderr
    assert not list(temporary.iterdir())
    # However the command ends, its agent does, too.
    shutil.copy(SHIPPED / "hearth-demo.gguf", model)
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    chat = subprocess.Popen(
        [*prefix, HEARTH, "run", str(model), "Tell me a story.", "--option", "x=y"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    )
    assert chat.stdout.read(1)
    chat.kill()
    chat.wait()
    for command in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(temporary).encode() in command.read_bytes():
                pid = int(command.parent.name)
                wait_until(lambda pid=pid: not is_alive(pid), "its agent ended")
        except (FileNotFoundError, ProcessLookupError):
            pass
