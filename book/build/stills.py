"""A still of every inline SVG in a notebook's outputs, for front ends that strip untrusted SVG.

JupyterLab shows a downloaded notebook, until it is run or trusted, without <svg>, <style> and <script>, but
with <img>. Where nothing is stripped the style hides the still, and the figure follows the reader's theme.
"""

import base64
import re

from nbformat import NotebookNode

HIDE = "<style>svg+.gm-still{display:none}</style>"
STILL = re.compile(rf'{re.escape(HIDE)}|<img class="gm-still"[^>]*>')
SVG = re.compile(r"<svg\b[^>]*>.*?</svg>", re.DOTALL)
LABEL = re.compile(r'aria-label="([^"]*)"')
ON_ITS_OWN = '<svg xmlns="http://www.w3.org/2000/svg" style="color:#222;background:#fff"'


def add(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs with a still behind every inline SVG."""
    return [_with_html(output, _add) for output in outputs]


def remove(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs as they were before :func:`add`."""
    return [_with_html(output, lambda markup: STILL.sub("", markup)) for output in outputs]


def _add(markup: str) -> str:
    stills = SVG.sub(lambda svg: svg[0] + _still(svg[0]), markup)
    return stills if stills == markup else stills + HIDE


def _still(svg: str) -> str:
    label = LABEL.search(svg)
    picture = base64.b64encode(svg.replace("<svg", ON_ITS_OWN, 1).encode()).decode()
    alt = label[1] if label else ""
    return f'<img class="gm-still" alt="{alt}" src="data:image/svg+xml;base64,{picture}">'


def _with_html(output: NotebookNode, change) -> NotebookNode:
    html = output.get("data", {}).get("text/html")
    if html is None:
        return output
    return NotebookNode(output, data=NotebookNode(output.data, **{"text/html": change(html)}))
