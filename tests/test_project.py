"""What the README promises, checked without running it."""

import json
import re
import tomllib

from helpers.data import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_readme_has_the_two_lines():
    lines = README.splitlines()
    assert "pip install -r requirements.txt && jupyter lab notebooks" in lines
    assert "pip install -r requirements.txt && pytest" in lines


def test_readme_lists_every_notebook_with_its_time():
    for path in NOTEBOOKS:
        row = next(line for line in README.splitlines() if f"(notebooks/{path.name})" in line)
        assert re.search(r"\d+ s", row), row


def test_links_of_the_documents_lead_somewhere():
    documents = [PROJECT / "README.md", PROJECT / "flower_data" / "README.md", PROJECT / "helpers" / "weights" / "README.md"]
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document}: {target}"


def test_requirements_pin_torch_and_install_the_project():
    lines = (PROJECT / "requirements.txt").read_text().split()
    assert {"torch", "torchvision"} <= {line.split("==")[0] for line in lines if "==" in line}
    assert lines[-2:] == ["-e", "."]


def test_the_project_itself_asks_for_what_it_imports():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["project"]["name"]
    for path in (PROJECT / "helpers").glob("*.py"):
        assert "sys.path" not in path.read_text(encoding="utf-8")


def test_names_belong_to_the_class_folders():
    cat_to_name = json.loads((PROJECT / "cat_to_name.json").read_text())
    assert len(cat_to_name) == len(set(cat_to_name.values())) == 102
    assert {path.name for path in (PROJECT / "flower_data" / "train").iterdir()} == set(cat_to_name)
