"""Drives a headless Chromium by the DevTools protocol, over its pipe: no library, and no port that others could reach."""

import base64
import json
import os
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading

from agent import wait_until

# What the protocol calls the keys that tests press.
KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Tab": (9, ""),
    " ": (32, " "),
}


class Browser:
    """One browser with one page. It keeps every request, every message on the console, and every error of the page."""

    def __init__(self):
        program = shutil.which("chromium")
        assert program, "chromium is missing: run Scripts/packages test"
        self.folder = tempfile.mkdtemp(prefix="hearth-browser-")
        to_browser, ours_to = os.pipe()
        ours_from, from_browser = os.pipe()
        command = [program, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.folder}/profile"]
        # Nothing of its own goes over the network, and a machine without a graphics card will do.
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
        command += ["--disable-gpu", "--disable-dev-shm-usage", "--password-store=basic", "--mute-audio"]
        if os.getuid() == 0:
            command.append("--no-sandbox")
        self.log = open(pathlib.Path(self.folder) / "log", "wb")
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "browser", *command],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, "HOME": self.folder},
        )
        os.close(to_browser)
        os.close(from_browser)
        self.output, self.input = open(ours_to, "wb", buffering=0), open(ours_from, "rb")
        self.answers = queue.Queue()
        self.number = 0
        self.session = None
        self.requests, self.complaints = [], []
        threading.Thread(target=self._read, daemon=True).start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        try:
            self.output.write(b'{"id":0,"method":"Browser.close"}\0')
        except BrokenPipeError:
            pass
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self):
        rest = b""
        while piece := self.input.read1(1 << 16):
            *messages, rest = (rest + piece).split(b"\0")
            for message in messages:
                self._take(json.loads(message))
        self.answers.put(None)

    def _take(self, message):
        if "id" in message:
            self.answers.put(message)
            return
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(str([each.get("value", each.get("description")) for each in parameters["args"]]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")

    def call(self, method, **parameters):
        """What the browser answers to one command; fails with its error."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.output.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.answers.get(timeout=60)
            assert answer is not None, f"the browser ended: {pathlib.Path(self.log.name).read_text()[-4000:]}"
            if answer["id"] != self.number:
                continue
            assert "error" not in answer, f"{method}: {answer['error']}"
            return answer["result"]

    def evaluate(self, expression):
        """The value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, seconds=30):
        """Waits until an expression in the page is true."""
        try:
            wait_until(lambda: self.evaluate(f"Boolean({expression})"), expression, seconds, 0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe page says:\n{self.text()}\n{self.complaints}") from None

    def open(self, address):
        answer = self.call("Page.navigate", url=address)
        assert "errorText" not in answer, f"{address}: {answer['errorText']}"
        self.until("document.readyState === 'complete'")

    def text(self, selector="body"):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def press(self, key, shift=False):
        code, text = KEYS[key]
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        """Types into what has the focus."""
        self.call("Input.insertText", text=text)

    def focused(self):
        """The id of what has the focus, or its words."""
        return self.evaluate("document.activeElement?.id || document.activeElement?.innerText || ''")

    def tab_to(self, name, limit=60):
        """Presses Tab until what has this id or these words has the focus, as who has no mouse does."""
        for _ in range(limit):
            self.press("Tab")
            if self.focused() == name:
                return
        raise AssertionError(f"no {name!r} within {limit} presses of Tab; the focus is on {self.focused()!r}")

    def size(self, width, height=900, dark=False, scale=1):
        """Gives the window another size and scheme, and returns once the page is drawn so."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        # What the page changes for it is done once it has been drawn.
        self.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn())))")

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
