"""The pages can be read without Python and without a network."""

import re
from urllib.parse import unquote

import pytest
from browser import find_browser, open_page

from helpers.base import PROJECT, UserError
from tools.make_pages import main, make_pages, point_to_pages

NOTEBOOKS = sorted(path.stem for path in (PROJECT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    make_pages(folder / "out")
    return folder / "out"


def test_every_notebook_has_its_page(pages):
    assert sorted(path.stem for path in pages.iterdir()) == sorted([*NOTEBOOKS, "TOPICS", "index"])


def test_links_lead_to_pages():
    assert point_to_pages("[2](02_train_the_head.ipynb#Which-head?)") == "[2](02_train_the_head.html#Which-head?)"
    assert point_to_pages("see [topics](TOPICS.md) and [x](https://a.org/b.ipynb)") == (
        "see [topics](TOPICS.html) and [x](https://a.org/b.ipynb)"
    )
    assert point_to_pages("[the table](../benchmarks/README.md#time)") == "the table"


def test_every_link_between_pages_has_its_target(pages):
    texts = {path.name: path.read_text(encoding="utf-8") for path in pages.iterdir()}
    ids = {name: set(map(unquote, re.findall(r'id="([^"]+)"', text))) for name, text in texts.items()}
    links = [(name, *re.match(r"([^#]*)#?(.*)", href).groups()) for name, text in texts.items()
             for href in re.findall(r'<a href="([^"]+)"', text) if not href.startswith("http")]  # fmt: skip
    assert len(links) > 150
    assert not [link for link in links if link[1] and link[1] not in texts]
    broken = [(name, page, anchor) for name, page, anchor in links if anchor and unquote(anchor) not in ids[page or name]]
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(pages):
    for path in pages.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?!data:)[^\"]+", text), path.name
        assert not re.findall(r"\bimport\b[^;]{0,80}https?://|url\(['\"]?https?://", text), path.name


def test_a_folder_that_holds_something_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="not empty"):
        make_pages(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert main([str(tmp_path)]) == 2
    assert "choose a new folder" in capsys.readouterr().err


@pytest.mark.skipif(find_browser() is None, reason="no Chromium")
def test_the_pages_in_a_browser(pages, tmp_path):
    count = "JSON.stringify([...performance.getEntriesByType('resource')].map(e => e.name).filter(n => !n.startsWith('data:')))"
    cut = (
        "[...document.querySelectorAll('.jp-InputArea-editor')].filter(e => e.scrollWidth > e.clientWidth + 1"
        " && getComputedStyle(e).overflowX == 'hidden').length"
    )
    hidden = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    with open_page(find_browser(), tmp_path / "profile") as page:
        for width in (400, 1400):
            page.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            for path in sorted(pages.iterdir()):
                page.open(path.as_uri())
                assert page.value(count) == "[]", f"{path.name} asks for other files"
                assert page.value(hidden) == 0, f"{path.name}: a figure is not shown"
                assert page.value(cut) == 0, f"{path.name}: code that cannot be scrolled"
                assert page.value("document.documentElement.scrollWidth") <= width, f"{path.name} is wider than {width} pixels"
        page.open((pages / "02_train_the_head.html").as_uri())
        height = "document.querySelector('details').offsetHeight"
        closed = page.value(height)
        page.value("document.querySelector('details').open = true")
        assert page.value(height) > closed > 0
