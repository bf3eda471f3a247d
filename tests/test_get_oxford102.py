"""Downloading the real flowers, from a local server with a small archive of the same form that can misbehave."""

import hashlib
import io
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from conftest import is_one_sentence, noisy
from scipy.io import savemat
from torchvision.datasets import Flowers102

from helpers.base import UserError
from helpers.data import find_images, split_summary
from tools.get_oxford102 import AGAIN, TUTORIAL_SPLIT, download, main

# image number -> class number; and how the authors and the tutorials split them
LABELS = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2}
OFFICIAL = {"trnid": [1, 4], "valid": [2, 5], "tstid": [3, 6]}
TUTORIAL = {1: "train", 2: "train", 3: "valid", 4: "train", 5: "valid", 6: "test"}


def archive(extra: dict | None = None) -> bytes:
    """A .tgz with jpg/image_00001.jpg ... and any extra members, {name: bytes}."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for number in LABELS:
            picture = io.BytesIO()
            noisy((200, 30 * number, 60), number).save(picture, "JPEG")
            add(tar, f"jpg/image_{number:05}.jpg", picture.getvalue())
        for name, content in (extra or {}).items():
            add(tar, name, content)
    return buffer.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def mat(**values) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, values)
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `files`; `status` is an error to answer with, `cut` the bytes after which an answer stops."""

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.status, self.cut, self.ranges = files, None, None, True
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers["Range"]
        server.asked.append((self.path, wanted))
        if server.status:
            self.send_error(server.status)
            return
        content, start = server.files[self.path.strip("/")], 0
        if wanted and server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    labels = mat(labels=np.array([list(LABELS.values())]))
    sets = mat(**{name: np.array([numbers]) for name, numbers in OFFICIAL.items()})
    server = Server({"102flowers.tgz": archive(), "imagelabels.mat": labels, "setid.mat": sets})
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(Flowers102, "_download_url_prefix", server.url)
    checksums(monkeypatch, server)
    rows = [f"{number},{LABELS[number]},{part}" for number, part in TUTORIAL.items()]
    (tmp_path / "split.csv").write_text("\n".join(["image,class,split", *rows]))
    yield server
    server.shutdown()
    server.server_close()


def checksums(monkeypatch, server):
    names = {"image": "102flowers.tgz", "label": "imagelabels.mat", "setid": "setid.mat"}
    known = {kind: (name, hashlib.md5(server.files[name]).hexdigest()) for kind, name in names.items()}
    monkeypatch.setattr(Flowers102, "_file_dict", known)


def get(tmp_path, *arguments, out: str = "real") -> int:
    return main(["--out", str(tmp_path / out), "--cache", str(tmp_path / "cache"), *arguments], tmp_path / "split.csv")


def found(tmp_path) -> set[str]:
    real = tmp_path / "real"
    return {path.relative_to(real).as_posix() for path in real.rglob("*") if path.is_file()}


TUTORIAL_FILES = {f"{part}/{LABELS[number]}/image_{number:05}.jpg" for number, part in TUTORIAL.items()}


def test_the_tutorials_split_is_arranged(server, tmp_path, capsys):
    assert get(tmp_path) == 0
    assert found(tmp_path) == TUTORIAL_FILES
    assert not list(tmp_path.glob(".*"))  # moved into place as a whole, nothing left beside it
    assert f"FLOWER_DATA={tmp_path / 'real'}" in capsys.readouterr().out
    with tarfile.open(fileobj=io.BytesIO(server.files["102flowers.tgz"])) as tar:
        original = tar.extractfile("jpg/image_00005.jpg").read()
    assert (tmp_path / "real/valid/2/image_00005.jpg").read_bytes() == original


def test_the_official_split_is_arranged(server, tmp_path):
    assert get(tmp_path, "--split", "official") == 0
    folders = {"trnid": "train", "valid": "valid", "tstid": "test"}
    expected = {f"{folders[s]}/{LABELS[n]}/image_{n:05}.jpg" for s, numbers in OFFICIAL.items() for n in numbers}
    assert found(tmp_path) == expected
    root = tmp_path / "real"
    assert split_summary(root, find_images(root))["train"]["images"] == 2


def test_a_second_call_downloads_and_changes_nothing(server, tmp_path):
    get(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "real").rglob("*")}
    server.asked.clear()
    assert get(tmp_path) == 0
    assert server.asked == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "real").rglob("*")} == before


def test_another_split_beside_the_first_needs_no_second_download(server, tmp_path):
    get(tmp_path)
    server.asked.clear()
    assert get(tmp_path, "--split", "official", out="other") == 0
    assert server.asked == []


def test_a_folder_with_other_things_is_left_alone(server, tmp_path, capsys):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/mine.jpg").write_text("mine")
    assert get(tmp_path) == 2
    assert is_one_sentence(capsys.readouterr().err.strip())
    assert found(tmp_path) == {"mine.jpg"}


@pytest.mark.parametrize("status", [500, 404])
def test_a_server_that_fails_is_reported_and_asked_again(server, tmp_path, capsys, status):
    server.status = status
    assert get(tmp_path) == 2
    said = capsys.readouterr().err.strip()
    assert str(status) in said and AGAIN in said
    assert not (tmp_path / "real").exists()
    server.status = None
    assert get(tmp_path) == 0


def test_a_download_that_stops_half_way_goes_on_there(server, tmp_path, capsys):
    server.cut = 1000
    assert get(tmp_path) == 2
    said = capsys.readouterr().err.strip()
    assert re.search(r"1,000 of [\d,]+ bytes", said) and is_one_sentence(said)
    server.cut = None
    server.asked.clear()
    assert get(tmp_path) == 0
    assert server.asked[0] == ("/102flowers.tgz", "bytes=1000-")
    assert found(tmp_path) == TUTORIAL_FILES


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.cut = 1000
    get(tmp_path)
    server.cut, server.ranges = None, False
    assert get(tmp_path) == 0
    assert found(tmp_path) == TUTORIAL_FILES


def test_a_part_that_is_whole_already_is_taken(server, tmp_path):
    path = tmp_path / "file"
    path.with_name("file.part").write_bytes(server.files["setid.mat"])
    download(server.url + "setid.mat", path)
    assert path.read_bytes() == server.files["setid.mat"]


def test_no_server_at_all_is_reported(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Flowers102, "_download_url_prefix", "http://127.0.0.1:9/")
    assert get(tmp_path) == 2
    assert AGAIN in capsys.readouterr().err


@pytest.mark.parametrize("name", ["102flowers.tgz", "imagelabels.mat", "setid.mat"])
def test_a_wrong_checksum_is_refused_and_the_file_removed(server, tmp_path, capsys, name):
    good = server.files[name]
    server.files[name] = good[:-8] + b"tampered"
    assert get(tmp_path) == 2
    said = capsys.readouterr().err.strip()
    assert name in said and "checksum" in said and is_one_sentence(said)
    assert not (tmp_path / "real").exists()
    server.files[name] = good
    assert get(tmp_path) == 0


@pytest.mark.parametrize("escaping", ["../../outside.jpg", "/tmp/outside_of_the_flowers.jpg"])
def test_a_path_that_leaves_the_folder_is_not_followed(server, tmp_path, monkeypatch, capsys, escaping):
    server.files["102flowers.tgz"] = archive({escaping: b"evil"})
    checksums(monkeypatch, server)
    get(tmp_path)
    inside = tmp_path / "cache"
    assert [path for path in tmp_path.rglob("*outside*") if inside not in path.parents] == []
    assert not list(tmp_path.parent.glob("outside*"))
    assert not Path(escaping).exists()


def test_a_link_that_leaves_the_folder_is_refused(server, tmp_path, monkeypatch, capsys):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("jpg/image_00001.jpg")
        member.type, member.linkname = tarfile.SYMTYPE, "../../../../etc/passwd"
        tar.addfile(member)
    server.files["102flowers.tgz"] = buffer.getvalue()
    checksums(monkeypatch, server)
    assert get(tmp_path) == 2
    assert is_one_sentence(capsys.readouterr().err.strip())
    assert not (tmp_path / "real").exists()


def test_the_filter_of_archives_is_put_back(server, tmp_path):
    get(tmp_path)
    assert "extraction_filter" not in tarfile.TarFile.__dict__


def test_an_interrupted_extraction_is_done_again(server, tmp_path):
    get(tmp_path, "--split", "official")
    (tmp_path / "cache/flowers-102/jpg/image_00006.jpg").unlink()
    assert get(tmp_path, out="other") == 0
    assert (tmp_path / "other/test/2/image_00006.jpg").exists()


def test_an_interrupt_while_arranging_leaves_no_half_folder(server, tmp_path, monkeypatch):
    links = []

    def interrupted(source, target):
        links.append(target)
        if len(links) == 4:
            raise KeyboardInterrupt
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr("os.link", interrupted)
    assert get(tmp_path) == 130
    assert not (tmp_path / "real").exists()


def test_where_links_are_impossible_the_photographs_are_copied(server, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert get(tmp_path) == 0
    assert found(tmp_path) == TUTORIAL_FILES


def test_labels_that_differ_from_the_tutorials_are_refused(server, tmp_path, capsys):
    (tmp_path / "split.csv").write_text("image,class,split\n1,2,train\n")
    assert get(tmp_path) == 2
    assert "image 1" in capsys.readouterr().err


def test_the_shipped_split_has_the_known_counts():
    lines = TUTORIAL_SPLIT.read_text().split()[1:]
    rows = [line.split(",") for line in lines]
    parts = [part for *_, part in rows]
    assert {part: parts.count(part) for part in set(parts)} == {"train": 6552, "valid": 818, "test": 819}
    assert sorted(int(number) for number, *_ in rows) == list(range(1, 8190))
    assert {int(label) for _, label, _ in rows} == set(range(1, 103))


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert get(tmp_path, out="file/real") == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "file/real") in said and is_one_sentence(said)


def test_the_cache_lies_beside_the_folder_by_default(server, tmp_path):
    assert main(["--out", str(tmp_path / "real"), "--split", "official"]) == 0
    assert (tmp_path / "real_download/flowers-102/102flowers.tgz").is_file()


def test_no_server_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="http://127"):
        download("http://127.0.0.1:9/x", tmp_path / "x")
