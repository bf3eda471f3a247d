"""A headless Chromium, driven through its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/"""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import websocket

NAMES = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome", "msedge")


def find_browser() -> str | None:
    """The path of a Chromium on this machine, if any."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def wait_for(condition: Callable, seconds: float = 30):
    """The first true answer of `condition`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"nothing happened in {seconds} s")


class Page:
    """One open page of the browser."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(address, suppress_origin=True, timeout=30)
        self.number = 0

    def send(self, method: str, **parameters) -> dict:
        """Send a command and return its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.number:
            pass  # an event
        assert "error" not in answer, answer
        return answer["result"]

    def value(self, expression: str):
        """The value of a JavaScript expression."""
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, address: str) -> None:
        self.send("Page.navigate", url=address)
        wait_for(lambda: self.value("document.readyState") == "complete" and self.value("location.href") != "about:blank")

    def choose_file(self, selector: str, path: Path) -> None:
        """What a user does who clicks and chooses a file."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def drop_file(self, selector: str, path: Path) -> None:
        """What a user does who drags a file onto the page."""
        where = f"(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector({selector!r}).getBoundingClientRect())"
        x, y = self.value(where)
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.send("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)


@contextlib.contextmanager
def open_page(program: str, profile: Path) -> Iterator[Page]:
    """Start the browser with an empty page; profile: a new folder for its files."""
    line = [program, "--headless", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--no-first-run",
            "--no-sandbox"]  # the sandbox fails for root and on some systems; only our own page is opened  # fmt: skip
    browser = subprocess.Popen([*line, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ready = profile / "DevToolsActivePort"
        wait_for(lambda: ready.exists() and len(ready.read_text().split()) == 2)
        port = ready.read_text().split()[0]

        def pages() -> list[str]:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as reply:
                return [page["webSocketDebuggerUrl"] for page in json.loads(reply.read()) if page["type"] == "page"]

        yield Page(wait_for(pages)[0])
    finally:
        browser.kill()
        browser.wait()
