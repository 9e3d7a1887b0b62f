"""The Python program in README.md does what it says."""

import pathlib
import re
import subprocess
import sys

from agent import Agent

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"


def test_the_readmes_program_streams_an_answer():
    (program,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert len(program.splitlines()) <= 12
    assert "127.0.0.1:50051" in program and "hearth-demo" in program
    with Agent() as agent:
        program = program.replace("127.0.0.1:50051", agent.address).replace("hearth-demo", "echo")
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.split()) > 20
