"""Everything a page needs comes from the site itself: it opens from a memory stick with no network.

MathJax is copied from the installed package sphinx-mathjax-offline, one script and its fonts. The theme's
icon script (1.5 MB on every page) gives way to the same icons as a web font.
"""

import re
from importlib.metadata import distribution
from pathlib import Path

from sphinx.util.fileutil import copy_asset_file

MATHJAX = "tex-mml-chtml.js"
FONTS = "output/chtml/fonts/woff-v2"
ICON_SCRIPT = re.compile(r"<script[^>]*scripts/fontawesome\.js[^>]*></script>\s*")
UNUSED = ("scripts/fontawesome.js", "vendor/fontawesome/webfonts/*.ttf", "**/*.map")


def mathjax_folder() -> Path:
    """Where the package keeps MathJax; its folder has dashes in the name, so it cannot be imported."""
    files = distribution("sphinx-mathjax-offline").files or []
    script = next(file for file in files if file.name == MATHJAX)
    return Path(str(script.locate())).parent


def _copy_mathjax(app) -> None:
    source, target = mathjax_folder(), Path(app.outdir) / "_static/mathjax"
    for file in [source / MATHJAX, *(source / FONTS).glob("*.woff")]:
        destination = target / file.relative_to(source).parent
        destination.mkdir(parents=True, exist_ok=True)
        copy_asset_file(str(file), str(destination))


def _remove_unused(app) -> None:
    static = Path(app.outdir) / "_static"
    for pattern in UNUSED:
        for file in static.glob(pattern):
            file.unlink()


def _finish(app, exception) -> None:
    if exception is None and app.builder.format == "html":
        _copy_mathjax(app)
        _remove_unused(app)


def _drop_thebe(app, config) -> None:
    """Jupyter Book always loads sphinx_thebe, which puts a script from another host on every page."""
    for handlers in app.events.listeners.values():
        handlers[:] = [h for h in handlers if not h.handler.__module__.startswith("sphinx_thebe")]
    app.registry.css_files[:] = [file for file in app.registry.css_files if file[0] != "sphinx-thebe.css"]


def _without_icon_script(html: str) -> str:
    return ICON_SCRIPT.sub("", html)


def _prepare(app) -> None:
    if app.builder.format == "html":
        app.builder.templates.environment.filters["without_icon_script"] = _without_icon_script


def setup(app) -> None:
    app.connect("config-inited", _drop_thebe)
    app.connect("builder-inited", _prepare)
    app.connect("build-finished", _finish)
