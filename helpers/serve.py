"""A page that names flowers, on this machine: python -m helpers.serve flowers.onnx

Open the address that it prints, drop a photo, see the five likeliest flowers. Nothing leaves the machine: the server
listens on 127.0.0.1 only, keeps no picture and needs no network.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from helpers.images import UserError, load_image
from helpers.onnx_model import OnnxModel, best, load_onnx

PAGE = Path(__file__).with_name("page.html")
LARGEST = 30 * 2**20  # bytes of an upload
ONE_AT_A_TIME = threading.Lock()  # a large picture takes a lot of memory while it is decoded


class Handler(BaseHTTPRequestHandler):
    """GET / gives the page; POST /name takes the bytes of a picture and gives [[name, probability], ...]."""

    model: OnnxModel
    timeout = 30  # seconds without a byte from the other side

    def do_GET(self) -> None:
        if not self.from_here():
            self.refuse(HTTPStatus.FORBIDDEN, "Open the page by the address that the server printed.")
        elif self.path == "/":
            self.answer(HTTPStatus.OK, PAGE.read_bytes(), "text/html; charset=utf-8")
        else:
            self.refuse(HTTPStatus.NOT_FOUND, "There is nothing here: open the page at /.")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self.from_here():
            self.refuse(HTTPStatus.FORBIDDEN, "Other pages may not ask this server.")
        elif self.path != "/name":
            self.refuse(HTTPStatus.NOT_FOUND, "There is nothing here: send pictures to /name.")
        elif not (length.isascii() and length.isdigit()):
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "Send the length of the picture first.")
        elif int(length) > LARGEST:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A picture may have {LARGEST // 2**20} MB at most.")
        else:
            self.name(self.rfile.read(int(length)))

    def from_here(self) -> bool:
        """Whether our own page asks: any other page that is open in the browser could send questions, too."""
        hosts = [f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")]
        origin = self.headers.get("Origin", f"http://{hosts[0]}")
        return self.headers.get("Host") in hosts and origin.removeprefix("http://") in hosts

    def name(self, data: bytes) -> None:
        try:
            with ONE_AT_A_TIME:
                image = load_image(io.BytesIO(data), least=2 * self.model.image_size, label="This file")
                guesses = best(self.model, image)
            self.answer(HTTPStatus.OK, json.dumps(guesses).encode(), "application/json")
        except UserError as error:
            self.refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    def refuse(self, status: HTTPStatus, sentence: str) -> None:
        self.answer(status, json.dumps({"error": sentence}).encode(), "application/json")

    def answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Say nothing about every request."""


class Server(ThreadingHTTPServer):
    allow_reuse_address = os.name == "posix"  # Windows would let two programs have the same port

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), OSError):  # a visitor who has gone is no error
            super().handle_error(request, client_address)


def make_server(model: OnnxModel, port: int) -> Server:
    """A server on 127.0.0.1; port 0 takes a free one. Raises UserError if the port is taken."""
    try:
        return Server(("127.0.0.1", port), type("FlowerHandler", (Handler,), {"model": model}))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "there is no such port"
        raise UserError(f"Port {port} cannot be used ({reason}): choose another one with --port.") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m helpers.serve", description="A page that names flowers.")
    parser.add_argument("model", type=Path, help="a file written by helpers.export")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    try:
        server = make_server(load_onnx(options.model), options.port)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Open http://127.0.0.1:{server.server_port} in a browser; Ctrl-C ends the server.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
