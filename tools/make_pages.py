"""Write the notebooks as web pages that need no Python and no network: python -m tools.make_pages OUT

OUT gets one page per notebook, index.html and TOPICS.html. Figures and styles are embedded, so that the pages can be opened
from a USB stick.
"""

import argparse
import html
import re
import sys
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html

from helpers.base import PROJECT, UserError, run_command

# nbconvert's own page loads MathJax, Mermaid and RequireJS from the web. The course uses none of them.
STYLE = """
<style>
  body { background: white; }
  main, .text { max-width: 62rem; margin: 0 auto; padding: 0 0.7rem; overflow-wrap: anywhere; }
  .text { font: 16px/1.6 system-ui, sans-serif; }
  .jp-Cell { padding-left: 0; padding-right: 0; }
  .jp-InputPrompt, .jp-OutputPrompt, .anchor-link { display: none; }
  img { max-width: 100%; height: auto; }
  table { display: block; overflow-x: auto; border-collapse: collapse; }
  td, th { padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; overflow-wrap: normal; }
  .text tr:nth-child(even) { background: #f4f4f4; }
  .jp-OutputArea-output pre, .highlight pre { overflow-x: auto; }
</style>
"""
TEMPLATE = f"""
{{%- extends "lab/index.html.j2" -%}}
{{%- block html_head_js -%}}{{%- endblock -%}}
{{%- block html_head_js_mathjax -%}}{{%- endblock -%}}
{{%- block html_head_js_mermaidjs -%}}{{%- endblock -%}}
{{%- block html_head_css -%}}{STYLE}{{%- endblock -%}}
{{%- block body_header -%}}
<body class="jp-Notebook" data-jp-theme-light="true" data-jp-theme-name="JupyterLab Light">
<main><p><a href="index.html">All notebooks</a> · <a href="TOPICS.html">Topics</a></p>
{{%- endblock -%}}
"""
PAGE = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}}</title>{STYLE.replace("{", "{{").replace("}", "}}")}</head><body class="text">{{body}}</body></html>
"""


def point_to_pages(text: str) -> str:
    """Markdown in which links to notebooks and to TOPICS.md lead to their pages; links out of the folder become text."""
    text = re.sub(r"\[([^][]+)\]\(\.\./[^)]*\)", r"\1", text)
    return re.sub(r"\]\((?:notebooks/)?([\w]+)\.(?:ipynb|md)(#[^)]*)?\)", r"](\1.html\2)", text)


def notebook_page(path: Path) -> str:
    """The page of one notebook, as HTML."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = point_to_pages(cell.source)
    exporter = HTMLExporter(extra_loaders=[DictLoader({"page.html.j2": TEMPLATE})], template_file="page.html.j2")
    return exporter.from_notebook_node(notebook)[0]


def text_page(title: str, markdown: str) -> str:
    """A page of text with headings, tables and links."""
    return PAGE.format(title=html.escape(title), body=markdown2html(point_to_pages(markdown)))


def contents(paths: list[Path]) -> str:
    """Markdown: a table of the notebooks with what each one teaches, from its own first cell."""
    lines = ["# Which flower is this?", "", "[Topics](TOPICS.md): where the course treats what.", "", "| | |", "|---|---|"]
    for path in paths:
        first = nbformat.read(path, as_version=4).cells[0].source.splitlines()
        learn = next(line for line in first if line.startswith("|") and "---" not in line and "You will learn" not in line)
        lines.append(f"| [{first[0].lstrip('# ')}]({path.name}) | {learn.split('|')[1].strip()} |")
    return "\n".join(lines)


def make_pages(out: Path, project: Path = PROJECT) -> list[Path]:
    """Write all pages into a new folder; returns their paths. Raises UserError if it exists or cannot be written."""
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty: choose a new folder.")
    notebooks = sorted((project / "notebooks").glob("*.ipynb"))
    topics = (project / "notebooks" / "TOPICS.md").read_text(encoding="utf-8")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in notebooks:
            (out / f"{path.stem}.html").write_text(notebook_page(path), encoding="utf-8")
        (out / "TOPICS.html").write_text(text_page("Topics", topics), encoding="utf-8")
        (out / "index.html").write_text(text_page("Which flower is this?", contents(notebooks)), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out} could not be written ({error.strerror}): free some space or choose another folder.") from error
    return sorted(out.glob("*.html"))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.make_pages", description="Write the notebooks as web pages.")
    parser.add_argument("out", type=Path, help="a new folder")
    options = parser.parse_args(arguments)

    def command() -> None:
        pages = make_pages(options.out)
        print(f"{len(pages)} pages: open {options.out / 'index.html'} in a browser.")

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
