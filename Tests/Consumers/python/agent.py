"""Starts and watches a `hearth serve` of its own for a test, as a person would: through its command line only."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PREFIX = pathlib.Path(os.environ["HEARTH_PREFIX"])
# An agent that is built with a sanitizer: what it takes of memory and time tells nothing of hearth's.
SANITIZED = "HEARTH_SANITIZER" in os.environ
SHIPPED = PREFIX / "lib/hearth/backends"


def wait_until(condition, what, seconds=20.0, interval=0.02):
    """Polls until `condition` gives something true, which is returned; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(interval)


def process_state(pid):
    """A process's letter of state, or None when there is no such process. Z and X are dead."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2]


def is_alive(pid):
    return process_state(pid) not in (None, "Z", "X")


def descendants(pid):
    """Every live process that `pid` started, and that those started."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent = text[text.rindex(")") + 2 :].split()[:2]
        if state not in "ZX":
            children.setdefault(int(parent), []).append(int(entry.name))
    found, open_ = [], [pid]
    while open_:
        for child in children.get(open_.pop(), []):
            found.append(child)
            open_.append(child)
    return found


def resident_kibibytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.M).group(1))


def peak_kibibytes(pid):
    """The most that was resident since the process began, or since `reset_peak`."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", text, re.M).group(1))


def reset_peak(pid):
    """Whether it could be done (proc(5): clear_refs)."""
    try:
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def processor_seconds(pid):
    """What its threads have run, and have waited for a processor that others had (schedstat: both in nanoseconds)."""
    ran = waited = 0
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            values = (thread / "schedstat").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ran, waited = ran + int(values[0]), waited + int(values[1])
    return ran / 1e9, waited / 1e9


class Agent:
    """One agent with a folder of backends and a state folder of its own, in a temporary folder.

    `backends` maps a name to a manifest, or to None for none; each is a copy of the shipped executable `of`. As root the
    agent is told to become `nobody`, so the folders are readable by all.
    """

    def __init__(self, backends=None, listen=("127.0.0.1:0",), plaintext=True, of="echo", options=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hearth-consumer-"))
        self.folder.chmod(0o755)
        self.backend_folder = self.folder / "backends"
        self.backend_folder.mkdir(mode=0o755)
        # As empty as the test wants it, whatever lies in this machine's.
        self.model_folder = self.folder / "models"
        self.model_folder.mkdir(mode=0o755)
        self.state = self.folder / "state"
        self.models = []
        for name, manifest in ({"echo": None} if backends is None else backends).items():
            self.add_backend(name, manifest, of)
        self.listen = [text.replace("STATE", str(self.state)) for text in listen]
        self.command = [PREFIX / "bin/hearth", "serve", "--state", self.state, "--backends", self.backend_folder]
        self.command += ["--models", self.model_folder]
        for address in self.listen:
            self.command += ["--listen", address]
        if plaintext:
            self.command.append("--plaintext")
        if os.getuid() == 0:
            self.command += ["--user", "nobody"]
        self.command += options
        self.process = None
        self.log_name = "log"

    def add_backend(self, name, manifest, of="echo"):
        target = self.backend_folder / name
        shutil.copyfile(SHIPPED / of, target)
        target.chmod(0o755)
        self.models += [model["id"] for model in manifest.get("models", [])] if manifest else [name]
        if manifest is not None:
            (self.backend_folder / f"{name}.json").write_text(json.dumps(manifest))

    def __enter__(self):
        self.log_path = self.folder / self.log_name
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.announced = line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"hearth: accepting on (.*), pid (\d+)\n", line)
        if not match:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the agent said {line!r} and logged:\n{self.log()}")
        self.addresses = [part.split(" ")[0] for part in match.group(1).split(", ")]
        self.address = self.addresses[0]
        assert int(match.group(2)) == self.process.pid
        self.pid = self.process.pid
        # A file that was copied a moment ago is not run before the agent is sure that it is whole.
        try:
            self.wait_ready(*self.models)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *error):
        try:
            if self.process.poll() is None:
                started = descendants(self.pid)
                self.process.send_signal(signal.SIGTERM)
                try:
                    assert self.process.wait(timeout=30) == 0, "the agent's exit status after SIGTERM"
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
                    raise AssertionError("the agent does not stop within 30 s of SIGTERM") from None
                # One that had to be killed takes the kernel a moment.
                wait_until(lambda: not any(map(is_alive, started)), f"none of {started} outlived the agent", 1)
                assert self.process.stdout.read() == b"", "standard output holds one line only"
        except BaseException:
            print(f"--- the agent's log\n{self.log()[-8000:]}")
            raise
        finally:
            if error[0] is not None:
                print(f"--- the agent's log\n{self.log()[-8000:]}")
            self.clean_up()

    def clean_up(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def command_line(self, *arguments):
        """What `hearth ARGUMENTS` prints on standard output."""
        answer = subprocess.run(
            [str(PREFIX / "bin/hearth"), *map(str, arguments)], capture_output=True, text=True, timeout=60
        )
        assert answer.returncode == 0, f"hearth {arguments[0]} ended with {answer.returncode}: {answer.stderr}"
        return answer.stdout

    def status(self):
        """`hearth status --json`; a counter that is 0 is absent."""
        return json.loads(self.command_line("status", "--state", self.state, "--json"))

    def backends(self):
        """`hearth backends --json`, by model."""
        answer = json.loads(self.command_line("backends", "--state", self.state, "--json"))
        return {entry["model"]: entry for entry in answer.get("backends", [])}

    def number(self, model, key):
        """A counter of a backend; absent means 0."""
        return int(self.backends()[model].get(key, 0))

    def wait_ready(self, *models, seconds=120):
        wait_until(
            lambda: all(self.backends().get(model, {}).get("state") == "ready" for model in models),
            f"{models} ready",
            seconds,
            0.1,
        )

    def wait_idle(self, model, seconds=20):
        """Until no sequence of this model runs; returns the seconds it took as seen from here."""
        began = time.monotonic()
        wait_until(lambda: self.number(model, "running") == 0, f"no running sequence of {model}", seconds)
        return time.monotonic() - began
