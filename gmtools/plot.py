"""The book's figure style: vector figures that follow the page's light or dark theme.

A figure leaves through :func:`show`, which turns it into inline SVG. Ink (axes, text) is drawn in the colour
of the surrounding text, so one figure is readable on a white and on a dark page, in Jupyter and in Colab.
Matplotlib is imported when the first figure is drawn, not before.
"""

import html
import io
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
    return re.sub(r">\s+<", "><", svg).strip()


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
    svg = to_svg(fig).replace("<svg", f'<svg role="img" aria-label="{html.escape(alt)}"', 1)
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
