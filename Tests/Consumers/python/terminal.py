"""A command on a pseudo-terminal of its own."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios

from agent import PREFIX, wait_until


def plain(text):
    """Without control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


class Terminal:
    """`program`: what runs there instead of `hearth`. `variables`: of the environment; one that is None is left out."""

    def __init__(self, *words, columns=80, variables=None, program=PREFIX / "bin/hearth"):
        self.text = ""
        # Without a home there is no history; and colours are as a person has them who says nothing of them.
        known = {"TERM": "xterm", "XDG_STATE_HOME": None, "HOME": None, "NO_COLOR": None}
        environment = {**os.environ, **known, **(variables or {})}
        environment = {name: str(value) for name, value in environment.items() if value is not None}
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(program, [str(program), *map(str, words)], environment)

    def read_some(self):
        if select.select([self.descriptor], [], [], 0.1)[0]:
            try:
                self.text += os.read(self.descriptor, 65536).decode(errors="replace")
            except OSError:
                pass

    def read_until(self, text):
        def seen():
            self.read_some()
            return text in self.text

        wait_until(seen, f"{text!r} on the terminal", 30, 0)
        before, _, self.text = self.text.partition(text)
        return before

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def resize(self, columns):
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    @property
    def echoes(self):
        """Whether it is as a shell's commands expect it: lines, an echo, and keys that send signals."""
        flags = termios.tcgetattr(self.descriptor)[3]
        wanted = termios.ICANON | termios.ECHO | termios.ISIG
        return flags & wanted == wanted

    def end(self):
        """Reads the rest; the exit status."""
        rest = ""
        while True:
            try:
                rest += os.read(self.descriptor, 65536).decode(errors="replace")
            except OSError:
                break
            if not rest:
                break
        self.text += rest
        status = os.waitpid(self.pid, 0)[1]
        self.is_as_before = self.echoes
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status)
