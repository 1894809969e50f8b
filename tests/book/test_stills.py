"""What a front end that strips SVG, styles and scripts from a notebook still shows of its figures."""

import base64
import copy
import xml.etree.ElementTree as ET

import IPython.display
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_output

from book.build import stills
from gmtools import plot, widgets

SEEN = "() => [...document.querySelectorAll('.gm-still')].map(i => i.naturalWidth > 0 && i.offsetHeight > 50)"
ALT = 'Права, която „расте" & минава над 1 > 0.'


def line(slope: float):
    fig, ax = plot.subplots()
    ax.plot([0, slope])
    return fig


@pytest.fixture(scope="module")
def outputs():
    """Text, a figure, and a figure with a knob, as a notebook keeps them."""
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IPython.display, "display", lambda data, **_: shown.append(data))
        plot.show(line(1.0), alt=ALT, caption="Расте.")
        widgets.explore(line, {"наклон": [1, 2]}, alt=ALT, caption="Расте.")
    return [new_output("stream", text="3,14\n"), *(new_output("display_data", data) for data in shown)]


def stripped(output) -> BeautifulSoup:
    page = BeautifulSoup(output.data["text/html"], "html.parser")
    for element in page.select("svg, style, script"):
        element.decompose()
    return page


def test_a_stripped_figure_keeps_a_picture_that_stands_on_its_own(outputs):
    text, *figures = stills.add(outputs)
    assert text == outputs[0] and len(figures) == 2
    for figure in figures:
        (image,) = stripped(figure).select("figure > img")
        assert image["alt"] == ALT
        picture = base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,")).decode()
        assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
        assert "currentColor" in picture and 'style="color:#222;background:#fff"' in picture


def test_stills_come_and_go_without_a_trace(outputs):
    before = copy.deepcopy(outputs)
    with_stills = stills.add(outputs)
    assert with_stills != outputs
    assert stills.remove(with_stills) == outputs == before
    assert stills.remove(outputs) == outputs


@pytest.mark.browser
def test_the_still_is_seen_only_where_the_figure_is_not(outputs, browser):
    page = browser.new_page()
    page.set_content("".join(output.data["text/html"] for output in stills.add(outputs)[1:]))
    assert page.evaluate(SEEN) == [False, False]
    page.set_content("".join(str(stripped(output)) for output in stills.add(outputs)[1:]))
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    assert page.evaluate(SEEN) == [True, True]
    page.close()
