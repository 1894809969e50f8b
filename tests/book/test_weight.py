"""No page is heavier than a megabyte, pictures included."""

import pytest

from book.build.report import LIMIT, weight
from book.build.sources import Book


def test_pictures_are_weighed_once_and_those_inside_the_page_with_it(tmp_path):
    (tmp_path / "a.png").write_bytes(b"0" * 1000)
    text = '<img src="a.png"><img src="sub/../a.png"><img src="data:image/png;base64,AAAA">'
    (tmp_path / "sub").mkdir()
    (tmp_path / "page.html").write_text(text)
    assert weight(tmp_path / "page.html") == 1000 + len(text)


@pytest.mark.book
def test_no_page_is_too_heavy(html):
    weights = {name: weight(html / f"{name}.html") for name in Book(html.parents[1]).names}
    assert not {name: size for name, size in weights.items() if size > LIMIT}
