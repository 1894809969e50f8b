"""Sphinx's part: warnings are errors, also the second time; pages follow their sources; the bytes repeat."""

import hashlib
import re
import shutil
import zipfile

import pytest
import yaml

from book.build.binder import write_environment
from book.build.site import build_wheel, open_at_first_page
from book.build.sources import Book

WRONG = {
    "label": ("{ref}`nowhere`", "nowhere"),
    "equation": ("{eq}`eq-nowhere`", "eq-nowhere"),
    "citation": ("{cite}`nobody1900`", "nobody1900"),
    "term": ("{term}`няма такъв`", "няма такъв"),
    "picture": ("![картина](nowhere.png)", "nowhere.png"),
    "glue": ("{glue:text}`nothing`", "nothing"),
    "directive": ("```{nosuch}\n```", "nosuch"),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory, sample):
    """A book with one mistake a page, built twice."""
    pages = {name: sample.header + f"# Глава\n\n{text}\n" for name, (text, _) in WRONG.items()}
    root = sample.write(tmp_path_factory.mktemp("wrong") / "book", pages)
    return [sample.run("book.build", root) for _ in range(2)]


@pytest.mark.parametrize("page", WRONG)
def test_a_wrong_reference_fails_the_build_and_fails_it_again(wrong, page):
    for done in wrong:
        assert done.returncode == 1
        assert re.search(rf"{page}\.md.*WARNING.*{WRONG[page][1]}", done.stderr)


def test_sphinx_complaints_fit_one_screen(wrong):
    assert all(len(done.stderr.splitlines()) < 24 for done in wrong)


def fingerprints(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_building_twice_gives_the_same_bytes(built, tmp_path, sample):
    """The first build's outputs were executed anew, the second's too; the folder differs as well."""
    root = sample.write(tmp_path / "again" / "sample")
    assert sample.run("book.build", root).returncode == 0
    first, second = fingerprints(built / "_build" / "html"), fingerprints(root / "_build" / "html")
    assert len(first) > 50 and "notebooks/lectures/method.ipynb" in first
    assert {name for name in first if first[name] != second.get(name)} == set()
    assert first.keys() == second.keys()


def test_no_path_of_the_machine_is_published(built):
    texts = [
        p for p in (built / "_build" / "html").rglob("*") if p.suffix in (".html", ".ipynb", ".js", ".json")
    ]
    assert texts
    assert [p.name for p in texts if str(built) in p.read_text("utf8")] == []


def test_a_page_taken_out_of_the_contents_is_taken_off_the_site(built, tmp_path, sample):
    root = tmp_path / "copy"
    shutil.copytree(built, root)
    html = root / "_build" / "html"
    assert (html / "lectures" / "other.html").exists()
    toc = root / "_toc.yml"
    toc.write_text(toc.read_text("utf8").replace("  - file: lectures/other\n", ""), "utf8")
    assert sample.run("book.build", root).returncode == 0
    assert not (html / "lectures" / "other.html").exists()
    assert not (html / "notebooks" / "lectures" / "other.ipynb").exists()
    assert (html / "lectures" / "method.html").exists()


def test_the_site_opens_at_its_first_page(built, tmp_path, sample):
    assert "Начало" in (built / "_build" / "html" / "index.html").read_text("utf8")
    root = sample.write(tmp_path / "book")
    toc = root / "_toc.yml"
    toc.write_text(toc.read_text("utf8").replace("root: index", "root: front/start"), "utf8")
    (root / "_build" / "html").mkdir(parents=True)
    open_at_first_page(Book(root))
    assert "url=front/start.html" in (root / "_build" / "html" / "index.html").read_text("utf8")


PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "gmtools"
version = "{version}"

[tool.setuptools]
packages = ["gmtools"]
"""


def test_the_wheel_has_the_sources_and_always_the_same_bytes(tmp_path, sample):
    wheels = []
    for name in ("one", "two"):
        root = sample.write(tmp_path / name)
        (root / "gmtools").mkdir()
        (root / "gmtools" / "__init__.py").write_text("answer = 42\n")
        (root / "pyproject.toml").write_text(PROJECT.format(version="1.2"))
        (root / "build" / "lib" / "gmtools").mkdir(parents=True)
        (root / "build" / "lib" / "gmtools" / "old.py").write_text("left by an earlier build\n")
        wheels.append(build_wheel(Book(root)))
    assert wheels[0].name == "gmtools-1.2-py3-none-any.whl"
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    names = zipfile.ZipFile(wheels[0]).namelist()
    assert "gmtools/__init__.py" in names and "gmtools/old.py" not in names


def test_the_install_cell_names_the_wheel_that_is_built(sample, tmp_path, monkeypatch):
    from book.build.notebooks import requirement

    root = sample.write(tmp_path / "book")
    (root / "pyproject.toml").write_text(PROJECT.format(version="1.2"))
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/fork")
    wheel = "https://somebody.github.io/fork/wheels/" + "gmtools-1.2-py3-none-any.whl"
    assert requirement(Book(root)) == wheel
    pip = yaml.safe_load(write_environment(Book(root)).read_text("utf8"))["dependencies"][-1]["pip"]
    assert wheel in pip
