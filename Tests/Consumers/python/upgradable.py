"""An agent that others take the place of (`hearth upgrade`), and the socket on which it tells a service manager of it."""

import array
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from agent import PREFIX, Agent, descendants, is_alive, wait_until


def free_port():
    """A port that no socket has, and below those that the kernel chooses from."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def processes_of(backends):
    """The processes that run these backends, known by their command lines, whoever started them."""
    lines, found = {backend.encode() + b"\0" for backend in backends}, set()
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes() in lines:
                found.add(int(entry.name))
    return found


class Upgradable(Agent):
    """`pid` is that of the agent that serves, `pids` those of all that have; `program` the executable of the first."""

    def __init__(self, *arguments, program=None, options=(), environment=(), **rest):
        rest.setdefault("listen", (f"127.0.0.1:{free_port()}", "unix:STATE/consumers.sock"))
        super().__init__(*arguments, options=("--grace", "3600", *options), **rest)
        if program:
            self.command[0] = program
        self.command[:0] = ["env", *environment]

    def __enter__(self):
        super().__enter__()
        self.pids = [self.pid]
        return self

    def upgrade(self, *options):
        """Returns what `hearth upgrade` says, once the new agent serves."""
        answer = json.loads(self.command_line("upgrade", "--state", self.state, "--json", *options))
        assert answer["pid"] not in self.pids
        self.pid = answer["pid"]
        self.pids.append(self.pid)
        return answer

    def begin_upgrade(self, *options):
        return subprocess.Popen(
            [PREFIX / "bin/hearth", "upgrade", "--state", self.state, *options], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)

    def refused(self, *options):
        """What `hearth upgrade` says that fails; the agent goes on."""
        asked = self.begin_upgrade(*options)
        said, complaint = asked.communicate(timeout=60)
        assert (asked.returncode, said) == (1, ""), complaint
        assert self.status()["pid"] == self.pid
        return complaint

    def wait_alone(self):
        """Until the agents before this one have ended."""
        wait_until(lambda: not any(map(is_alive, self.pids[:-1])), f"all of {self.pids} but the last have ended", 60)

    def __exit__(self, *error):
        try:
            started = {process for pid in self.pids for process in descendants(pid)} | set(self.pids)
            for pid in self.pids:
                if is_alive(pid):
                    # Twice: at once.
                    os.kill(pid, signal.SIGTERM)
                    os.kill(pid, signal.SIGTERM)
            assert self.process.wait(timeout=30) == 0, "the first agent's exit status"
            wait_until(lambda: not any(map(is_alive, started)), f"none of {started} is left", 30)
            lines = [self.announced, *self.process.stdout.read().decode().splitlines(keepends=True)]
            announced = [re.fullmatch(r"hearth: accepting on .*, pid (\d+)\n", line) for line in lines]
            assert [int(match.group(1)) for match in announced] == self.pids, lines
        except BaseException:
            for pid in self.pids:
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)
            print(f"--- the agents' log\n{self.log()[-16000:]}")
            raise
        finally:
            if error[0] is not None:
                print(f"--- the agents' log\n{self.log()[-16000:]}")
            self.clean_up()


class Manager:
    """The socket of a service manager: who told it what, in order."""

    def __init__(self, abstract=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hearth-manager-"))
        self.folder.chmod(0o755)
        self.name = f"@{self.folder.name}" if abstract else str(self.folder / "notify")
        self.told = []

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.name.replace("@", "\0"))
        if not self.name.startswith("@"):
            os.chmod(self.name, 0o777)
        self.listening = threading.Thread(target=self.listen)
        self.listening.start()
        return self

    def listen(self):
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            if data == b"end":
                return
            ((_, kind, credentials),) = ancillary
            assert kind == socket.SCM_CREDENTIALS
            pid = array.array("i", credentials)[0]
            self.told.append((pid, dict(line.split("=", 1) for line in data.decode().splitlines())))

    def wait(self, count):
        """The first `count` notices, each by whom and of what kind; fails if there are more."""
        wait_until(lambda: len(self.told) >= count, f"{count} notices, not {self.told}")
        assert len(self.told) == count, self.told
        return self.told

    def __exit__(self, *_):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", self.name.replace("@", "\0"))
        self.listening.join()
        self.socket.close()
        shutil.rmtree(self.folder)
