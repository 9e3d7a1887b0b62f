"""An agent that asks for keys."""

import hashlib
import json
import os
import re

import grpc
from agent import Agent
from consumer import OWN_CONNECTION


class ClosedAgent(Agent):
    """Asks for keys; its first lines are read, and the connection string kept. With TLS, or without on loopback. `authority`
    has signed its certificate; without one it has made its own."""

    def __init__(self, backends=None, options=(), tls=True, authority=None, **rest):
        self.uses_tls, self.authority = tls, authority
        options = [*(["--tls"] if tls else []), "--require-key", *options]
        super().__init__(backends, plaintext=not tls, options=options, **rest)

    def __enter__(self):
        super().__enter__()
        line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"hearth: connect with \(shown this once\): (hearth://\S+)\n", line)
        assert match, f"no connection string, but {line!r}"
        self.connection = match.group(1)
        self.first_key = re.search(r"key=([^&]+)", self.connection).group(1)
        if self.uses_tls:
            self.trusted = grpc.ssl_channel_credentials((self.authority or self.state / "certificate.pem").read_bytes())
        return self

    def create(self, name, *options):
        return self.command_line("key", "create", "--state", self.state, name, *options).strip()

    def revoke(self, name):
        self.command_line("key", "revoke", "--state", self.state, name)

    def add_unused_keys(self, count):
        """Adds keys that nobody uses to those that there are, as fast as a file is written."""
        path = self.state / "keys.json"
        book, facts = json.loads(path.read_text()), path.stat()
        first = book["keys"][0]
        for index in range(count):
            digest = hashlib.sha256(str(index).encode()).hexdigest()
            book["keys"].append({**first, "name": f"key-{index}", "sha256": digest})
        fresh = path.with_name("keys.new")
        fresh.write_text(json.dumps(book))
        fresh.chmod(0o600)
        os.chown(fresh, facts.st_uid, facts.st_gid)
        fresh.rename(path)

    def channel(self, key=None):
        credentials = self.trusted
        if key is not None:
            credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(key))
        return grpc.aio.secure_channel(self.address, credentials, options=OWN_CONNECTION)
