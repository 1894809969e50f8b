"""Interactive figures that need no kernel, and numbers that prose takes from code.

:func:`explore` draws a figure for every position of its knobs while the page is built and ships only what
differs between them; a few lines of JavaScript move the picture. The same call gives the same thing in the
published page, in Jupyter and in Colab, and with ``live=True`` a recomputing slider where a kernel runs.
"""

import hashlib
import html
import itertools
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence

from gmtools.plot import MATH, check_text, display_html, own_names, to_svg


def bulgarian(value: float | int | str, digits: int = 3) -> str:
    r"""Write a number as Bulgarian prose does: decimal comma, true minus, no more digits than asked.

    >>> bulgarian(-1.6812), bulgarian(12000), bulgarian(0.5, 1), bulgarian("три")
    ('−1,681', '12\u202f000', '0,5', 'три')
    """
    if isinstance(value, str):
        return value
    text = f"{value:,}" if isinstance(value, int) else f"{float(value):,.{digits}f}"
    if not math.isnan(value) and float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace(",", "\u202f").replace(".", ",").replace("-", "−").replace("nan", "няма")


def glue(name: str, value: float | int | str, digits: int = 3) -> None:
    """Give a computed value a name under which the chapter's prose shows it, as in ``{glue:text}`name```.

    Args:
        name: unique in the chapter.
        value: a number (or a word); a one-element tensor counts as a number.
        digits: digits after the decimal comma.
    """
    from IPython.display import display

    value = value.item() if hasattr(value, "item") else value
    mime = "application/papermill.record/"
    display(
        {
            mime + "text/plain": repr(bulgarian(value, digits))
        },  # the page evaluates it: a bare 0,57 is a tuple
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": mime}},
    )


def explore(
    draw: Callable,
    knobs: Mapping[str, Sequence[float | str]],
    *,
    alt: str,
    caption: str,
    start: Sequence[int] | None = None,
    describe: Callable[..., str] | None = None,
    digits: int = 2,
    live: bool = False,
) -> None:
    """Display a figure that changes as the reader turns its knobs; no kernel and no network are needed.

    Args:
        draw: takes one value a knob and returns a matplotlib figure. Keep the axes' limits fixed:
            what does not change is stored once.
        knobs: label (Bulgarian or a symbol) -> the values that the knob takes, in order: numbers or words.
        alt: what is seen at the start, in Bulgarian.
        caption: what to notice, in Bulgarian; may hold TeX between dollar signs.
        start: the index each knob starts at; the middle of its values by default.
        describe: takes one value a knob and returns a sentence shown under the figure and read aloud.
        digits: digits after the decimal comma of a knob's values; a knob of integers shows none.
        live: recompute with ipywidgets sliders instead (a kernel must be running): continuous ones, but for
            integers and words.

    Raises:
        ValueError: a knob has fewer than two values, or a text is not in Bulgarian.
    """
    check_text("alt", alt)
    check_text("caption", caption)
    for label, values in knobs.items():
        if len(values) < 2:
            raise ValueError(f"knobs[{label!r}] has {len(values)} values, expected at least 2")
    if live:
        return _live(draw, knobs)
    start = list(start) if start is not None else [len(v) // 2 for v in knobs.values()]
    positions = list(itertools.product(*knobs.values()))
    frames = list(_render(draw, positions))
    for frame in frames:
        frame.set("role", "img")
        frame.set("aria-label", alt)
    first = _flat_index(start, [len(v) for v in knobs.values()])
    slots, changes = _differences(frames[first], frames)
    texts = [describe(*position) for position in positions] if describe else []
    payload = {"slots": slots, "frames": changes, "texts": texts}
    page = _page(frames[first], payload, knobs, start, first, alt, caption, digits)
    display_html(own_names(page), f"[Фигура: {alt}]")


def _render(draw: Callable, positions: Sequence[tuple]):
    """Yield each SVG tree, all in the first one's layout: finding a layout is slow, and it must not jump."""
    places = None
    for position in positions:
        figure = draw(*position)
        if places is None:
            figure.draw_without_rendering()
            places = [axes.get_position() for axes in figure.axes]
        figure.set_layout_engine("none")
        for axes, place in zip(figure.axes, places, strict=True):
            axes.set_position(place)
        yield ET.fromstring(to_svg(figure))


def _flat_index(index: Sequence[int], sizes: Sequence[int]) -> int:
    flat = 0
    for i, size in zip(index, sizes, strict=True):
        flat = flat * size + i
    return flat


def _differences(base: ET.Element, frames: list[ET.Element]) -> tuple[list, list]:
    """What changes in ``base`` to show each frame: slots (where) and, a frame, [slot, new value] pairs."""
    slots: dict[tuple[str, str], int] = {}
    changes = [
        [
            [slots.setdefault((path, attribute), len(slots)), value]
            for path, attribute, value in _walk(base, f, "")
        ]
        for f in frames
    ]
    return [list(slot) for slot in slots], changes


def _walk(old: ET.Element, new: ET.Element, path: str):
    same_shape = old.tag == new.tag and len(old) == len(new) and old.text == new.text
    if not same_shape or old.attrib.keys() != new.attrib.keys():
        yield path, "", ET.tostring(new, encoding="unicode")
        return
    for name, value in new.attrib.items():
        if old.get(name) != value:
            yield path, name, value
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        yield from _walk(a, b, f"{path}.{i}" if path else str(i))


def _page(base, payload, knobs, start, first, alt, caption, digits) -> str:
    svg = ET.tostring(base, encoding="unicode")
    data = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    name = "gm-" + hashlib.sha256((svg + data).encode()).hexdigest()[:12]
    controls = "".join(
        _knob(f"{name}-{i}", label, _written(values, digits), start[i])
        for i, (label, values) in enumerate(knobs.items())
    )
    text = html.escape(payload["texts"][first]) if payload["texts"] else ""
    return (
        f'<figure class="gm-figure gm-explore" id="{name}">{svg}'
        f'<div class="gm-knobs" style="display:none;flex-wrap:wrap;gap:.3em 1.5em">{controls}</div>'
        f'<p class="gm-readout" aria-live="polite">{text}</p>'
        f'<figcaption class="{MATH}">{html.escape(caption)}</figcaption>'
        f'<script type="application/json">{data}</script><script>{_SCRIPT % name}</script></figure>'
    )


def _written(values: Sequence[float | str], digits: int) -> list[str]:
    """A knob's values as shown.

    >>> _written([1, 16], 1), _written([0, 1.6], 1), _written(["ред", "колона"], 1)
    (['1', '16'], ['0,0', '1,6'], ['ред', 'колона'])
    """
    as_they_are = all(isinstance(value, int | str) for value in values)
    return [bulgarian(value if as_they_are else float(value), digits) for value in values]


def _knob(identity: str, label: str, values: list[str], start: int) -> str:
    options = html.escape(json.dumps(values, ensure_ascii=False))
    shown = html.escape(values[start])
    return (
        f'<span class="gm-knob"><label for="{identity}">{html.escape(label)}</label> '
        f'<input type="range" id="{identity}" min="0" max="{len(values) - 1}" value="{start}" '
        f'data-values="{options}" aria-valuetext="{shown}"> '
        f'<output for="{identity}">{shown}</output></span>'
    )


# Every move starts from a copy of the first picture, so that changes never add up.
_SCRIPT = """(() => {
const figure = document.getElementById('%s'), root = () => figure.querySelector('svg');
const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
const base = root().cloneNode(true), inputs = [...figure.querySelectorAll('input')];
const find = path => path.split('.').reduce((node, i) => path ? node.children[i] : node, root());
const show = () => {
  let index = 0;
  for (const input of inputs) {
    const values = JSON.parse(input.dataset.values);
    index = index * values.length + Number(input.value);
    input.setAttribute('aria-valuetext', values[input.value]);
    input.nextElementSibling.value = values[input.value];
  }
  root().replaceWith(base.cloneNode(true));
  const changes = data.frames[index].map(([slot, value]) => {
    const [path, name] = data.slots[slot];
    return [find(path), name, value];
  });
  for (const [node, name, value] of changes) {
    if (name) node.setAttribute(name, value); else node.outerHTML = value;
  }
  if (data.texts.length) figure.querySelector('.gm-readout').textContent = data.texts[index];
};
for (const input of inputs) input.addEventListener('input', show);
figure.querySelector('.gm-knobs').style.display = 'flex';
})();"""


def _live(draw: Callable, knobs: Mapping[str, Sequence[float | str]]) -> None:
    from inspect import signature

    import ipywidgets
    import matplotlib.pyplot as plt
    from IPython.display import display

    def slider(label: str, values: Sequence[float | str]):
        if isinstance(values[0], str):
            return ipywidgets.SelectionSlider(options=values, description=label)
        low, high = min(values), max(values)
        if all(isinstance(value, int) for value in values):
            return ipywidgets.IntSlider(values[len(values) // 2], min=low, max=high, description=label)
        return ipywidgets.FloatSlider(
            values[len(values) // 2], min=low, max=high, step=(high - low) / 200, description=label
        )

    sliders = [slider(label, values) for label, values in knobs.items()]

    def redraw(**positions: float) -> None:
        figure = draw(*positions.values())
        display(figure)
        plt.close(figure)

    names = list(signature(draw).parameters)[: len(sliders)]
    output = ipywidgets.interactive_output(redraw, dict(zip(names, sliders, strict=True)))
    display(ipywidgets.VBox([*sliders, output]))
