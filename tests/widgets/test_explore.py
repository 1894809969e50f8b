"""A figure with knobs: what is displayed holds every frame, and bad arguments are named."""

import html
import json
import re
import xml.etree.ElementTree as ET
from itertools import product

import IPython.display
import matplotlib.pyplot as plt
import pytest

from gmtools.plot import to_svg
from gmtools.widgets import explore

KNOBS = {"наклон": [0.5, 1, 2], "вид": ["права", "<крива>"]}
TEXTS = {"alt": "Една линия в квадрат.", "caption": "Линията става по-стръмна."}


def draw(slope, kind):
    fig = plt.figure(figsize=(2.0, 2.0), layout="none")  # whatever style an earlier test has set
    axes = fig.add_axes((0.2, 0.2, 0.7, 0.7), xlim=(0, 1), ylim=(0, 2), title=kind)
    axes.plot([0, 0.5, 1], [0, 0.5 * slope, slope] if kind == "права" else [0, 0.2, slope])
    return fig


@pytest.fixture
def shown(monkeypatch):
    """All that is displayed."""
    displayed = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **_: displayed.append(data))
    return displayed


@pytest.fixture
def page(shown):
    """The HTML that ``explore`` displays."""
    explore(draw, KNOBS, **TEXTS, describe=lambda slope, kind: f"{kind}: {slope}", digits=1)
    return shown[0]["text/html"]


def turned(page, index):
    """The SVG after the reader has turned the knobs: the same steps as the page's script, in Python."""
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    svg = ET.fromstring(re.search(r"<svg.*?</svg>", page)[0])
    parents = {child: parent for parent in svg.iter() for child in parent}
    found = []
    for slot, value in payload["frames"][index]:
        path, name = payload["slots"][slot]
        node = svg
        for child in filter(None, path.split(".")):
            node = node[int(child)]
        found.append((node, name, value))
    for node, name, value in found:
        if name:
            node.set(name, value)
        else:
            siblings = parents[node]
            siblings[list(siblings).index(node)] = ET.fromstring(value)
    return svg


def test_every_position_of_the_knobs_shows_its_own_figure(page):
    for index, position in enumerate(product(*KNOBS.values())):
        shown = turned(page, index)
        for added in ("role", "aria-label"):
            del shown.attrib[added]
        text = re.sub(r"([ph][0-9a-f]{10})-[0-9a-f]{6}", r"\1", ET.tostring(shown, encoding="unicode"))
        assert text == ET.tostring(ET.fromstring(to_svg(draw(*position))), encoding="unicode")


def draw_another_sheet(kind):
    """Figures that differ in their outermost element: in its attributes, or in how many children it has."""
    fig = plt.figure(figsize=(3.0, 2.0) if kind == "широка" else (2.0, 2.0), layout="none")
    axes = fig.add_axes((0.2, 0.2, 0.7, 0.7), xlim=(0, 1), ylim=(0, 2))
    axes.fill_between([0, 1], [1, 2], hatch="//" if kind == "щрих" else None)
    return fig


TURN = "(knob, value) => { knob.value = value; knob.dispatchEvent(new Event('input')); }"
SEEN = """figure => { const svg = figure.querySelector('svg');
  return [svg.getAttribute('viewBox'), svg.querySelectorAll('pattern').length, svg.getAttribute('aria-label'),
          figure.querySelectorAll('svg').length]; }"""


@pytest.mark.browser
@pytest.mark.parametrize("start", range(3))
def test_a_frame_of_another_sheet_or_with_a_hatch_comes_and_goes(start, shown, browser):
    kinds = ["проста", "щрих", "широка"]
    explore(draw_another_sheet, {"вид": kinds}, **TEXTS, start=[start])
    page = browser.new_page()
    page.set_content(shown[0]["text/html"])
    figure, knob = page.query_selector("figure"), page.query_selector("input")
    for index in (0, 1, 2, 1, 0, 2, 0):
        expected = ET.fromstring(to_svg(draw_another_sheet(kinds[index])))
        knob.evaluate(TURN, index)
        assert figure.evaluate(SEEN) == [expected.get("viewBox"), int(index == 1), TEXTS["alt"], 1]
    page.close()


def test_a_live_knob_of_integers_gives_integers(shown):
    drawn = []

    def draw_numbers(count, share):
        drawn.append((count, share))
        return plt.figure()

    explore(draw_numbers, {"брой": [1, 4, 16], "дял": [0.5, 1]}, **TEXTS, live=True)
    count, share, _ = shown[-1].children
    count.value, share.value = 9, 0.75
    assert drawn == [(4, 1.0), (9, 1.0), (9, 0.75)]
    assert all(isinstance(number, int) for number, _ in drawn)


def test_knobs_show_decimal_commas_and_words(page):
    options = [json.loads(html.unescape(text)) for text in re.findall(r'data-values="(.*?)"', page)]
    assert options == [["0,5", "1,0", "2,0"], ["права", "<крива>"]]
    assert re.findall(r"<output [^>]*>(.*?)</output>", page) == ["1,0", "&lt;крива&gt;"]
    assert '<p class="gm-readout" aria-live="polite">&lt;крива&gt;: 1</p>' in page


@pytest.mark.parametrize(
    "bad, message",
    [
        ({"knobs": {"наклон": [1.0]}}, r"knobs\['наклон'\] has 1 values, expected at least 2"),
        ({"alt": "a line"}, "alt is 'a line', expected a description in Bulgarian"),
        ({"caption": ""}, "caption is '', expected a description in Bulgarian"),
    ],
)
def test_bad_arguments_are_named(bad, message):
    arguments = {"knobs": KNOBS} | TEXTS | bad
    with pytest.raises(ValueError, match=message):
        explore(draw, arguments.pop("knobs"), **arguments)
