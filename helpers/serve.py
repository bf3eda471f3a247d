"""A local web page that names flowers: python -m helpers.serve flowers.onnx

Open the address that it prints and drop a photo to see the five most probable flowers. Nothing leaves the machine: the
server listens on 127.0.0.1 only, stores no images and needs no network.
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

from helpers.base import UserError, run_command
from helpers.images import load_image
from helpers.onnx_model import OnnxModel, load_onnx, predict_top

PAGE = Path(__file__).with_name("page.html")
MAX_UPLOAD = 30 * 2**20  # bytes
DECODING = threading.Lock()  # one image at a time: decoding a large one takes a lot of memory


class Handler(BaseHTTPRequestHandler):
    """GET / returns the page; POST /name with the bytes of an image returns [[name, probability], ...] as JSON.

    The header X-Sure of the answer is "no" if the largest probability is below `min_confidence`, else "yes".
    """

    model: OnnxModel
    min_confidence = 0.0
    server: "Server"
    timeout = 30  # seconds without a byte from the client

    def do_GET(self) -> None:
        if not self.from_here():
            self.refuse(HTTPStatus.FORBIDDEN, "Open the page at the address that the server printed.")
        elif self.path == "/":
            self.answer(HTTPStatus.OK, PAGE.read_bytes(), "text/html; charset=utf-8")
        else:
            self.refuse(HTTPStatus.NOT_FOUND, "There is nothing here: open the page at /.")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self.from_here():
            self.refuse(HTTPStatus.FORBIDDEN, "Other pages may not use this server.")
        elif self.path != "/name":
            self.refuse(HTTPStatus.NOT_FOUND, "There is nothing here: send images to /name.")
        elif not (length.isascii() and length.isdigit()):
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "The Content-Length header is missing: send it with the image.")
        elif int(length) > MAX_UPLOAD:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The image is too large: the limit is {MAX_UPLOAD // 2**20} MB.")
        else:
            self.name(self.rfile.read(int(length)))

    def from_here(self) -> bool:
        """Whether the request comes from our own page: any other page open in the browser could send requests, too."""
        hosts = [f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")]
        origin = self.headers.get("Origin", f"http://{hosts[0]}")
        return self.headers.get("Host") in hosts and origin.removeprefix("http://") in hosts

    def name(self, data: bytes) -> None:
        try:
            with DECODING:
                image = load_image(io.BytesIO(data), min_side=2 * self.model.image_size, label="This file")
                guesses = predict_top(self.model, image)
            sure = "yes" if guesses[0][1] >= self.min_confidence else "no"
            self.answer(HTTPStatus.OK, json.dumps(guesses).encode(), "application/json", {"X-Sure": sure})
        except UserError as error:
            self.refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    def refuse(self, status: HTTPStatus, sentence: str) -> None:
        self.answer(status, json.dumps({"error": sentence}).encode(), "application/json")

    def answer(self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Do not log every request."""


class Server(ThreadingHTTPServer):
    allow_reuse_address = os.name == "posix"  # on Windows, two programs could then use the same port

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that disconnects is not an error
            super().handle_error(request, client_address)


def make_server(model: OnnxModel, port: int, min_confidence: float = 0.0) -> Server:
    """A server on 127.0.0.1; port 0 picks a free one. min_confidence: below this probability the page says "not sure".

    Raises UserError if the port cannot be used or min_confidence is not a probability.
    """
    if not 0 <= min_confidence <= 1:
        raise UserError(f"min_confidence is {min_confidence}, but it must be from 0 to 1.")
    settings = {"model": model, "min_confidence": min_confidence}
    try:
        return Server(("127.0.0.1", port), type("FlowerHandler", (Handler,), settings))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "there is no such port"
        raise UserError(f"Port {port} cannot be used ({reason}): choose another one with --port.") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m helpers.serve", description="Serve a local web page that names flowers.")
    parser.add_argument("model", type=Path, help="a file written by helpers.export")
    parser.add_argument("--port", type=int, default=8000)
    text = 'answer "not sure" if the largest probability is below this (default: 0, always sure)'
    parser.add_argument("--min-confidence", type=float, default=0.0, metavar="P", help=text)
    options = parser.parse_args(arguments)

    def command() -> None:
        server = make_server(load_onnx(options.model), options.port, options.min_confidence)
        print(f"Open http://127.0.0.1:{server.server_port} in a browser; press Ctrl-C to stop the server.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
        server.server_close()

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
