"""A registry of images, its token service and its storage, played on two ports of this machine for the tests of pulling."""

import base64
import hashlib
import http.server
import json
import re
import ssl
import threading

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_WEIGHTS, DOCKER_LICENCE = "application/vnd.docker.ai.gguf.v3", "application/vnd.docker.ai.license"


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """What it serves, how it misbehaves, and what it was asked."""

    def __init__(self):
        self.blobs, self.manifests = {}, {}
        # A repository that needs a token, and the USER:PASSWORD that its token service gives one for; None: for everybody.
        self.private = {}
        # A repository that takes this USER:PASSWORD itself.
        self.basic = {}
        # The tokens that were given so far: only the last is good.
        self.tokens = 0
        # For each next answer of the storage: a function of (handler, content, first byte) that may answer in its place.
        self.tricks = []
        self.ignores_ranges = False
        # (path, Range, Authorization) of each request to the storage, and the bytes that it sent.
        self.asked, self.sent = [], 0
        self.servers = [self._serve(RegistryHandler), self._serve(StorageHandler)]
        self.address, self.storage = (f"127.0.0.1:{server.server_address[1]}" for server in self.servers)

    def _serve(self, handler, context=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        server.registry = self
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    def serve_tls(self, certificate, key):
        """The registry on one more port, with TLS; its address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.servers.append(self._serve(RegistryHandler, context))
        return f"127.0.0.1:{self.servers[-1].server_address[1]}"

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def forget(self):
        self.tricks, self.asked, self.sent, self.ignores_ranges = [], [], 0, False

    def add(self, content):
        self.blobs[digest_of(content)] = content
        return digest_of(content)

    def push(self, repository, tag, layers, sizes=None):
        """`layers`: pairs of media type and content, or of media type, content and file name."""
        described = []
        for media_type, content, *name in layers:
            described.append({"mediaType": media_type, "digest": self.add(content), "size": len(content)})
            if name:
                described[-1]["annotations"] = {"org.cncf.model.filepath": name[0]}
        for layer, size in zip(described, sizes or []):
            layer["size"] = size
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": described}
        return self.put(repository, tag, manifest)

    def put(self, repository, tag, manifest):
        content = json.dumps(manifest).encode()
        self.manifests[repository, tag] = self.manifests[repository, digest_of(content)] = content
        return f"{self.address}/{repository}:{tag}"

    @property
    def ranges(self):
        return [asked[1] for asked in self.asked]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, content=b"", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class RegistryHandler(Handler):
    def do_GET(self):
        registry = self.server.registry
        if self.path.startswith("/token?"):
            return self.give_token(registry)
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", self.path)
        if not match:
            return self.answer(404)
        repository, kind, reference = match.groups()
        said = self.headers.get("Authorization")
        wanted = registry.basic.get(repository)
        if wanted and said != "Basic " + base64.b64encode(wanted.encode()).decode():
            return self.answer(401, WWW_Authenticate='Basic realm="test registry"')
        if repository in registry.private and said != f"Bearer token-{registry.tokens}-of-{repository}":
            realm = f"http://{registry.address}/token"
            challenge = f'Bearer realm="{realm}",service="test registry",scope="repository:{repository}:pull"'
            return self.answer(401, WWW_Authenticate=challenge)
        if kind == "blobs":
            return self.answer(307, Location=f"http://{registry.storage}/{reference}")
        content = registry.manifests.get((repository, reference))
        if content is None:
            error = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode()
            return self.answer(404, error, Content_Type="application/json")
        return self.answer(200, content, Content_Type=MANIFEST, Docker_Content_Digest=digest_of(content))

    def give_token(self, registry):
        repository = re.search(r"scope=repository%3A(.+)%3Apull", self.path).group(1).replace("%2F", "/")
        wanted = registry.private[repository]
        if wanted and self.headers.get("Authorization") != "Basic " + base64.b64encode(wanted.encode()).decode():
            return self.answer(401)
        registry.tokens += 1
        return self.answer(200, json.dumps({"token": f"token-{registry.tokens}-of-{repository}"}).encode())


class StorageHandler(Handler):
    def do_GET(self):
        registry = self.server.registry
        wanted = self.headers.get("Range")
        registry.asked.append((self.path, wanted, self.headers.get("Authorization")))
        content = registry.blobs.get(self.path.removeprefix("/"))
        if content is None:
            return self.answer(404)
        first, last = 0, len(content) - 1
        if wanted and not registry.ignores_ranges:
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
            first, last = int(match.group(1)), int(match.group(2) or last)
            if first >= len(content):
                return self.answer(416, Content_Range=f"bytes */{len(content)}")
        trick = registry.tricks.pop(0) if registry.tricks else None
        if trick is None or not trick(self, content, first, last):
            self.begin(content, first, last)
            self.send(content[first : last + 1])

    def begin(self, content, first, last):
        whole = first == 0 and last == len(content) - 1
        self.send_response(200 if whole else 206)
        if not whole:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()

    def send(self, piece):
        self.wfile.write(piece)
        self.server.registry.sent += len(piece)


def cut(count):
    """Ends the connection after so many bytes."""

    def trick(handler, content, first, last):
        handler.begin(content, first, last)
        handler.send(content[first : min(first + count, last + 1)])
        handler.close_connection = True
        return True

    return trick


class Pause:
    """Sends so many bytes, and then nothing until it is told to go on, or for ever."""

    def __init__(self, count):
        self.count, self.reached, self.go_on = count, threading.Event(), threading.Event()

    def __call__(self, handler, content, first, last):
        handler.begin(content, first, last)
        handler.send(content[first : first + self.count])
        self.reached.set()
        if self.go_on.wait(60):
            handler.send(content[first + self.count : last + 1])
        return True


def damage(offset):
    """Sends another byte in place of the one at an offset."""

    def trick(handler, content, first, last):
        handler.begin(content, first, last)
        wrong = bytearray(content)
        wrong[offset] ^= 1
        handler.send(bytes(wrong[first : last + 1]))
        return True

    return trick


def refuse(status, **fields):
    def trick(handler, content, first, last):
        handler.answer(status, b"not now", **fields)
        return True

    return trick
