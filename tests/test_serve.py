"""The page that names flowers: its server, and the page in a real browser."""

import contextlib
import http.client
import io
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
from browser import find_browser, open_page, wait_for
from conftest import COLOURS, is_one_sentence, noisy

from helpers import serve
from helpers.onnx_model import load_onnx
from helpers.prediction import load_model, predict_files

BROWSER = find_browser()


@contextlib.contextmanager
def running(model_file, **settings):
    """The address of a server; settings: of its request handler."""
    server = serve.make_server(load_onnx(model_file), port=0)
    for name, value in settings.items():
        setattr(server.RequestHandlerClass, name, value)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def address(exported):
    with running(exported) as address:
        yield address


def png(color) -> bytes:
    stream = io.BytesIO()
    noisy(color).save(stream, "PNG")
    return stream.getvalue()


def ask(address: str, data: bytes, path: str = "/name"):
    """(status, answer) of an upload."""
    try:
        with urllib.request.urlopen(address + path, data=data) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_an_image_is_answered_with_names_and_probabilities(address):
    status, answer = ask(address, png(COLOURS["10"]))
    assert status == 200
    assert answer[0][0] == "globe thistle"
    assert [p for _, p in answer] == sorted((p for _, p in answer), reverse=True)
    assert abs(sum(p for _, p in answer) - 1) < 1e-5


@pytest.mark.parametrize("data", [b"", b"no picture", png((1, 2, 3))[:500]])
def test_what_is_no_image_is_answered_in_one_sentence_and_the_next_one_works(address, data):
    status, answer = ask(address, data)
    assert status == 422
    assert is_one_sentence(answer["error"])
    assert answer["error"].startswith("This file cannot be read")
    assert "object at" not in answer["error"]
    assert ask(address, png(COLOURS["2"]))[0] == 200


def test_an_image_that_is_too_large_is_refused_before_it_is_sent(address):
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/name")
    connection.putheader("Content-Length", str(serve.MAX_UPLOAD + 1))
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 413
    assert is_one_sentence(json.loads(reply.read())["error"])


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "127.0.0.1:1"}]
)
def test_other_pages_in_the_browser_may_not_ask(address, headers):
    for data in (png(COLOURS["1"]), None):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(urllib.request.Request(f"{address}/name" if data else address, data, headers))
        assert error.value.code == 403


def test_a_large_photo_gets_the_answer_of_helpers_predict(address, trained, tmp_path):
    photo = noisy((120, 110, 60), size=(900, 700), spread=90).resize((450, 350))
    photo.save(tmp_path / "photo.jpg")
    predicted = predict_files(load_model(trained / "best.pt"), [tmp_path / "photo.jpg"])[0][0]
    _, answer = ask(address, (tmp_path / "photo.jpg").read_bytes())
    assert [name for name, _ in answer] == [guess.name for guess in predicted]
    assert all(abs(p - guess.probability) < 1e-4 for (_, p), guess in zip(answer, predicted, strict=True))


@pytest.mark.parametrize("length", [None, "-1", "many", "\u00b2"])
def test_an_image_without_a_length_is_refused(address, length):
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/name")
    if length:
        connection.putheader("Content-Length", length.encode("latin-1"))
    connection.endheaders()
    assert connection.getresponse().status == 411


def test_only_the_page_and_the_names_are_there(address):
    assert ask(address, b"x", "/other")[0] == 404
    for path in ("/page.html", "/../helpers/serve.py", "//etc/passwd", "/%2e%2e/README.md"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(address + path)
        assert error.value.code == 404


def test_the_page_needs_nothing_from_elsewhere(address):
    with urllib.request.urlopen(address) as reply:
        page = reply.read().decode()
    assert "http://" not in page
    assert "https://" not in page


def test_a_client_that_stops_in_the_middle_blocks_nobody_and_is_disconnected(exported):
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(running(exported, timeout=4))  # enough for the one question between
        host = address.removeprefix("http://")
        silent = stack.enter_context(socket.create_connection(host.split(":"), timeout=20))
        silent.send(f"POST /name HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\nhalf".encode())
        assert ask(address, png(COLOURS["1"]))[0] == 200
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):  # still waiting for the other half
            silent.recv(1)
        silent.settimeout(20)
        assert silent.recv(1) == b""


def test_a_client_that_disconnects_is_no_error_but_a_bug_is(exported, capsys):
    server = serve.make_server(load_onnx(exported), port=0)
    for failure, said in ((BrokenPipeError, False), (TimeoutError, False), (ZeroDivisionError, True)):
        try:
            raise failure
        except failure:
            server.handle_error(None, ("127.0.0.1", 1))
        assert ("Traceback" in capsys.readouterr().err) == said
    server.server_close()


def first_answer(address: str) -> tuple[float, str]:
    """The largest probability of a picture, and whether the server is sure of it."""
    with urllib.request.urlopen(f"{address}/name", data=png(COLOURS["10"])) as reply:
        return json.loads(reply.read())[0][1], reply.headers["X-Sure"]


def test_the_server_is_sure_from_the_threshold_on(exported):
    with running(exported) as address:
        largest, sure = first_answer(address)
    assert sure == "yes"  # by default always
    thresholds = {0: "yes", 0.9 * largest: "yes", largest: "yes", math.nextafter(largest, 1): "no", 1: "no"}
    assert len(thresholds) == 5  # the largest probability is not 1
    for threshold, expected in thresholds.items():
        with running(exported, min_confidence=threshold) as address:
            assert first_answer(address) == (largest, expected), threshold


@pytest.mark.parametrize("threshold", ["-0.001", "1.001", "60", "nan", "inf", "-inf"])
def test_a_threshold_that_is_no_probability_is_refused(exported, capsys, threshold):
    assert serve.main([str(exported), "--port", "0", f"--min-confidence={threshold}"]) == 2
    said = capsys.readouterr().err
    assert "min_confidence" in said and threshold.rstrip("0") in said
    assert is_one_sentence(said)


def test_a_threshold_that_is_no_number_is_refused(exported, capsys):
    with pytest.raises(SystemExit) as error:
        serve.main([str(exported), "--min-confidence", "high"])
    assert error.value.code == 2
    assert "--min-confidence" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "threshold"), [([], 0), (["--min-confidence", "0.25"], 0.25)])
def test_the_command_passes_its_threshold_on(exported, monkeypatch, options, threshold):
    used = []
    monkeypatch.setattr(serve.Server, "serve_forever", lambda server: used.append(server.RequestHandlerClass.min_confidence))
    assert serve.main([str(exported), "--port", "0", *options]) == 0
    assert used == [threshold]


def test_a_port_that_is_taken_is_named(exported, address, capsys):
    port = address.rpartition(":")[2]
    assert serve.main([str(exported), "--port", port]) == 2
    said = capsys.readouterr().err
    assert f"Port {port}" in said
    assert is_one_sentence(said)


def test_a_port_that_does_not_exist_is_named(exported, capsys):
    assert serve.main([str(exported), "--port", "70000"]) == 2
    assert is_one_sentence(capsys.readouterr().err)


def test_a_file_that_is_no_model_is_named(tmp_path, capsys):
    assert serve.main([str(tmp_path / "nowhere.onnx")]) == 2
    assert "nowhere.onnx" in capsys.readouterr().err


def test_nobody_outside_this_machine_can_ask(exported):
    server = serve.make_server(load_onnx(exported), port=0)
    assert server.server_address[0] == "127.0.0.1"
    server.server_close()


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C cannot be sent to one process here")
def test_the_command_prints_its_address_and_ends_with_ctrl_c(exported):
    line = [sys.executable, "-m", "helpers.serve", str(exported), "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().split()[1]
        assert ask(address, png(COLOURS["1"]))[1][0][0] == "pink primrose"
        server.send_signal(signal.SIGINT)
        try:
            assert server.wait(10) == 0
        finally:
            server.kill()
        assert server.stderr.read() == ""


# ---- in a browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(address, tmp_path_factory):
    if not BROWSER:
        pytest.skip("there is no Chromium on this machine")
    with contextlib.ExitStack() as stack:
        try:
            page = stack.enter_context(open_page(BROWSER, tmp_path_factory.mktemp("profile")))
        except TimeoutError:
            pytest.skip("the browser does not start on this machine")
        page.open(address)
        yield page


def shown(page) -> list[str]:
    """The lines of the table, once an answer is there."""
    wait_for(lambda: page.value("document.getElementById('message').textContent") not in ("", "Looking …"))
    return page.value("[...document.querySelectorAll('#names tr')].map(row => row.innerText.trim())")


@pytest.mark.parametrize("way", ["choose", "drop"])
@pytest.mark.parametrize(("label", "name"), [("10", "globe thistle"), ("1", "pink primrose")])
def test_the_page_names_an_uploaded_picture(page, flowers, way, label, name):
    picture = sorted((flowers / "valid" / label).iterdir())[0]
    page.value("document.getElementById('message').textContent = ''")
    page.choose_file("input", picture) if way == "choose" else page.drop_file("#drop", picture)
    rows = shown(page)
    assert len(rows) == 3
    assert rows[0].startswith(name)
    assert rows[0].endswith("%")
    widths = page.value("[...document.querySelectorAll('.bar')].map(bar => bar.getBoundingClientRect().width)")
    assert widths == sorted(widths, reverse=True)
    assert page.value("document.getElementById('photo').naturalWidth") == 40


def test_the_page_says_what_is_wrong_with_a_file_and_goes_on(page, flowers, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    page.value("document.getElementById('message').textContent = ''")
    page.choose_file("input", tmp_path / "notes.png")
    assert shown(page) == []
    assert "cannot be read" in page.value("document.getElementById('message').textContent")
    page.value("document.getElementById('message').textContent = ''")
    page.choose_file("input", sorted((flowers / "valid" / "2").iterdir())[0])
    assert shown(page)[0].startswith("hard-leaved pocket orchid")


def test_the_page_itself_refuses_what_the_server_would_not_take(page, tmp_path):
    with open(tmp_path / "huge.jpg", "wb") as file:
        file.truncate(serve.MAX_UPLOAD + 1)
    page.value("var sent = 0, send = fetch; fetch = (...all) => { sent++; return send(...all) }")
    page.value("document.getElementById('message').textContent = ''")
    page.choose_file("input", tmp_path / "huge.jpg")
    assert shown(page) == []
    assert page.value("document.getElementById('message').textContent") == "The image is too large: the limit is 30 MB."
    assert page.value("sent") == 0


def test_a_name_with_html_in_it_is_shown_as_text(page):
    page.value("names.replaceChildren(); show([['<b>rose</b>', 0.5]])")
    assert page.value("document.querySelector('#names td').textContent") == "<b>rose</b>"


def test_the_page_shows_that_it_is_not_sure_and_the_names(page, address, exported, flowers):
    for threshold, expected in ((0, "The five most probable flowers:"), (1, "Not sure")):
        with running(exported, min_confidence=threshold) as other:
            page.open(other)
            wait_for(lambda other=other: page.value("location.origin") == other and page.value("typeof show") == "function")
            page.choose_file("input", sorted((flowers / "valid" / "10").iterdir())[0])
            assert shown(page)[0].startswith("globe thistle")
            assert page.value("document.getElementById('message').textContent").startswith(expected)
    page.open(address)
