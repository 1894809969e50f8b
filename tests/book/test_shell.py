"""The local Sphinx extension: what it mends is mended, and what must fail the build fails it."""

import gettext
import importlib.resources
import os
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "book/_ext"
sys.path.insert(0, str(EXTENSION))

from bookshell import alttext, buttons, catalogues, landmarks, manifest, offline  # noqa: E402

BAD_PAGE = """(page)=
# Страница

## Без етикет

![](picture.png)

![English only](picture.png)

<img src="raw.png">

<svg role="img"></svg>

<svg role="img" aria-label="Графика на плътността"></svg>

![Синя крива](picture.png)

(good)=
### С етикет
"""


@pytest.fixture(scope="module")
def complaints(tmp_path_factory) -> str:
    """What Sphinx says of a page with every fault that the shell must catch."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "index.md").write_text(BAD_PAGE, "utf8")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    extensions = "extensions=myst_parser,bookshell.alttext,bookshell.headings"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-C",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-D",
        extensions,
    ]
    environment = os.environ | {"PYTHONPATH": str(EXTENSION), "PYTHONIOENCODING": "utf8", "NO_COLOR": "1"}
    run = subprocess.run(
        [*command, str(folder), str(folder / "out")], env=environment, capture_output=True, text=True
    )
    assert run.returncode != 0
    return run.stderr


def test_pictures_without_bulgarian_alt_text_fail_the_build(complaints):
    assert complaints.count("has no alt text in Bulgarian") == 4
    assert "English only" in complaints and "<img>" in complaints and "<svg>" in complaints
    assert "Синя крива" not in complaints and "Графика на плътността" not in complaints


def test_headings_without_an_ascii_label_fail_the_build(complaints):
    assert "before the heading „Без етикет“" in complaints
    assert "„С етикет“" not in complaints and "„Страница“" not in complaints


def test_pictures_hidden_from_screen_readers_need_no_words():
    assert alttext.pictures('<svg aria-hidden="true"><path/></svg><img src="a" alt="Крива">') == [
        ("img", "Крива")
    ]


def theirs() -> set[str]:
    """The strings that the page theme shows; its own list of them."""
    template = importlib.resources.files("pydata_sphinx_theme") / "locale/sphinx.pot"
    with template.open("rb") as file:
        return {message.id for message in read_po(file) if message.id}


def test_every_string_of_the_theme_is_in_bulgarian(tmp_path):
    domains = catalogues.compile_catalogues("bg", tmp_path)
    assert {"sphinx", "booktheme", "exercise", "proof", "togglebutton"} <= set(domains)
    ours = gettext.translation("sphinx", tmp_path, ["bg"])
    spoken = {text for text in theirs() if isinstance(text, str)}
    missing = {text for text in spoken if ours.gettext(text) == text and any(c.isalpha() for c in text)}
    assert not missing
    assert '"Search Results": "Намерени страници"' in (tmp_path / "bg/LC_MESSAGES/sphinx.js").read_text(
        "utf8"
    )


def test_a_forks_links_lead_to_the_fork(monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert buttons.repository_slug("https://github.com/owner/name/") == "owner/name"
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/fork")
    assert buttons.repository_slug("https://github.com/owner/name") == "someone/fork"


def test_icon_script_is_taken_out_whatever_its_version():
    html = '<b/><script defer src="../_static/scripts/fontawesome.js?digest=1a2b"></script>\n<i/>'
    assert offline.ICON_SCRIPT.sub("", html) == "<b/><i/>"


def test_mathjax_comes_with_its_fonts():
    folder = offline.mathjax_folder()
    assert (folder / offline.MATHJAX).stat().st_size > 500_000
    assert len(list((folder / offline.FONTS).glob("*.woff"))) >= 20


def test_sidebar_is_a_named_region():
    html = landmarks.with_landmarks('<div id="pst-primary-sidebar" class="a">')
    assert html == '<div id="pst-primary-sidebar" role="region" aria-label="Съдържание на книгата" class="a">'


def test_parts_hold_every_slide_once():
    assert [slide.n for slide in manifest.slides()] == list(range(1, 72))
    assert manifest.chapter_numbers()["lectures/3-inference/31-importance-sampling"] == 31


@pytest.mark.book
def test_folded_code_has_no_english_name(html):
    pages = list((html / "lectures").rglob("*.html"))
    assert pages and not [page.name for page in pages if "Toggle hidden" in page.read_text("utf8")]
