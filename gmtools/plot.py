"""The book's figure style: vector figures that follow the page's light or dark theme.

A figure leaves through :func:`show`, which turns it into inline SVG. Ink (axes, text) is drawn in the colour
of the surrounding text, so one figure is readable on a white and on a dark page, in Jupyter and in Colab.
Matplotlib is imported when the first figure is drawn, not before.
"""

import hashlib
import html
import io
import math
import re

INK = "#010203"  # a colour nobody draws with: it becomes the page's text colour in the SVG
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#3a7fc2", "#d0741c", "#2c9a6c", "#d1495b", "#9467c9", "#858585"
COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)  # each has at least 3:1 contrast on both themes

_STYLE = {
    "figure.figsize": (6.4, 3.6),
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": "medium",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "patch.edgecolor": INK,
    "image.cmap": "viridis",
    "svg.fonttype": "path",
    "svg.hashsalt": "gmtools",
    "path.simplify_threshold": 0.2,
}


def subplots(*args, **kwargs):
    """Open a figure in the book's style; arguments and returns are those of ``matplotlib.pyplot.subplots``.

    Sets matplotlib's ``rcParams``, since legends and texts take their style when they are added.

    >>> fig, ax = subplots()
    >>> ax.get_facecolor()[3]
    0.0
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    plt.rcParams.update({**_STYLE, "axes.prop_cycle": plt.cycler(color=COLORS)})
    return plt.subplots(*args, **kwargs)


def turned(points, turn: float, tilt: float):
    r"""Points in space as an observer sees them who walked around by ``turn`` and climbed by ``tilt``.

    A rotation: across the picture, up the picture, towards the observer (parallel projection).

    Args:
        points: a tensor, shape ``(..., 3)``.
        turn: angle about the vertical axis, in radians.
        tilt: angle above the horizon, in radians.

    Returns:
        Shape ``(..., 3)``.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> import torch
    >>> turned(torch.tensor([1.0, 0.0, 0.0]), 0.0, 0.0)  # the observer stands on the first axis
    tensor([0., 0., 1.])
    """
    import torch

    x, y, z = points.unbind(-1)
    across = y * math.cos(turn) - x * math.sin(turn)
    away = x * math.cos(turn) + y * math.sin(turn)
    up = z * math.cos(tilt) - away * math.sin(tilt)
    return torch.stack((across, up, away * math.cos(tilt) + z * math.sin(tilt)), dim=-1)


def seen(surface, half_width: float, turn: float, tilt: float, pixels: int = 96):
    r"""The points of a surface that an observer sees, one a pixel, to be coloured and given to ``imshow``.

    Along the ray of each pixel, the first change of sign of ``surface`` on a coarse grid, then bisection.

    Args:
        surface: from points ``(..., 3)`` to ``(...)``, negative inside a body, zero on its surface.
        half_width: of the square that is seen, and of the depth that is searched.
        turn, tilt: where the observer stands, see :func:`turned`.
        pixels: side of the picture.

    Returns:
        Shape ``(pixels, pixels, 3)``, the first row at the bottom (``origin="lower"``); NaN off the surface.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> points = seen(lambda x: x.norm(dim=-1) - 1, 1.1, 0.4, 0.3, pixels=5)
    >>> points.norm(dim=-1)[2].nan_to_num()  # the middle row: the edge of the picture misses the ball
    tensor([0.0000, 1.0000, 1.0000, 1.0000, 0.0000])
    """
    import torch

    axes = turned(torch.eye(3), turn, tilt)  # a row an axis of space, in the observer's coordinates
    side = torch.linspace(-half_width, half_width, pixels)
    up, across = torch.meshgrid(side, side, indexing="ij")

    def at(depth):
        return surface(torch.stack((across.expand_as(depth), up.expand_as(depth), depth), -1) @ axes.T)

    depths = torch.linspace(half_width, -half_width, 48)
    inside = torch.stack([at(torch.full_like(up, depth)) <= 0 for depth in depths.tolist()])
    first = inside.int().argmax(0)
    near, far = depths[(first - 1).clamp_min(0)], depths[first]
    for _ in range(20):
        middle = (near + far) / 2
        enters = at(middle) <= 0
        near, far = torch.where(enters, near, middle), torch.where(enters, middle, far)
    depth = torch.where(inside.any(0), (near + far) / 2, torch.nan)
    return torch.stack((across, up, depth), -1) @ axes.T


def to_svg(fig) -> str:
    """Render a figure as an inline ``<svg>`` element whose bytes depend on its content alone.

    Args:
        fig: a matplotlib figure; it is closed.

    Returns:
        The SVG text. It scales with its container, carries no date, and may stand twice on one page.
    """
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    FigureCanvasSVG(fig).print_svg(buffer, metadata={"Date": None})  # savefig would lay out and draw twice
    plt.close(fig)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # names such as axes_1 would stand twice on a page
    svg = re.sub(r' (?:xmlns(?::xlink)?|version)="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'(<svg[^>]*?) width="[\d.]+pt" height="[\d.]+pt"', r"\1", svg, count=1)
    svg = re.sub(r' (?:d|x|y|points)="[^"]*"|translate\([^)]*\)', _shorten, svg)
    svg = svg.replace(INK, "currentColor")
    return _named_by_content(re.sub(r">\s+<", "><", svg).strip())


def _named_by_content(svg: str) -> str:
    """Name clip paths, markers and hatches by their rounded text; matplotlib's names hash the layout to its
    last, unsteady bit."""
    named = r'<(clipPath|path|pattern) id="(\w*?)([0-9a-f]{10})"([^>]*/>|.*?</\1>)'
    for _, prefix, name, content in re.findall(named, svg):
        svg = svg.replace(prefix + name, prefix + hashlib.sha256(content.encode()).hexdigest()[:10])
    return svg


def own_names(markup: str) -> str:
    """Make clip paths and hatches this markup's own: a browser takes the first of a name on the whole page,
    and none at all if that one stands in a closed dropdown."""
    mark = hashlib.sha256(markup.encode()).hexdigest()[:6]
    return re.sub(r'(?<=[#"])([ph][0-9a-f]{10})\b', rf"\1-{mark}", markup)


def _shorten(match: re.Match) -> str:
    """Round the coordinates in a match to a hundredth of a point: invisible, and a third of the weight."""
    rounded = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), match[0])
    return re.sub(r"\s+", " ", rounded)


def check_text(name: str, text: str) -> None:
    """Raise ValueError unless ``text`` says something in Bulgarian: a page is also read aloud.

    >>> check_text("alt", "figure 1")
    Traceback (most recent call last):
    ValueError: alt is 'figure 1', expected a description in Bulgarian
    """
    if not re.search("[а-яА-Я]{3}", text):
        raise ValueError(f"{name} is {text!r}, expected a description in Bulgarian")


def show(fig, *, alt: str, caption: str) -> None:
    """Display a figure with what it shows (for those who cannot see it) and what to notice in it.

    Args:
        fig: a matplotlib figure, closed by this call.
        alt: what is seen, in Bulgarian; read aloud in place of the picture.
        caption: what to notice, in Bulgarian; may hold TeX between dollar signs.

    Raises:
        ValueError: ``alt`` or ``caption`` is empty or not in Bulgarian.
    """
    check_text("alt", alt)
    check_text("caption", caption)
    svg = own_names(to_svg(fig)).replace("<svg", f'<svg role="img" aria-label="{html.escape(alt)}"', 1)
    display_html(
        f'<figure class="gm-figure">{svg}<figcaption class="{MATH}">{html.escape(caption)}</figcaption>'
        "</figure>",
        f"[Фигура: {alt}]",
    )


MATH = "tex2jax_process mathjax_process"  # the classes in which the book's MathJax looks for TeX


def display_html(markup: str, text: str) -> None:
    """Display HTML, with ``text`` for front ends that show none."""
    from IPython.display import display

    display({"text/html": markup, "text/plain": text}, raw=True)
