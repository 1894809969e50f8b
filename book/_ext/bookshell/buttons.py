"""Buttons in the page's header: Colab and Binder, and downloads that are worth having.

The theme would send Colab to the .md source, which it cannot open, and offer raw MyST for download.
The notebooks are generated and published with the site, at ``notebooks/<page>.ipynb``.
"""

import os
import re
from urllib.parse import quote

COLAB = "https://colab.research.google.com/github/{slug}/blob/{branch}/notebooks/{page}.ipynb"
BINDER = "https://mybinder.org/v2/gh/{slug}/{branch}?urlpath=lab%2Ftree%2Fnotebooks%2F{page}.ipynb"
PAGES_BRANCH = "gh-pages"  # the branch that carries the published site


def repository_slug(url: str) -> str:
    """owner/name of the repository that publishes the book: a fork's links lead to the fork.

    >>> os.environ.pop("GITHUB_REPOSITORY", None) and None
    >>> repository_slug("https://github.com/owner/name")
    'owner/name'
    """
    return os.environ.get("GITHUB_REPOSITORY") or re.sub(r"^https://github\.com/|/$", "", url)


def _use_publishing_repository(app, config) -> None:
    slug = repository_slug(config.html_theme_options["repository_url"])
    config.html_theme_options["repository_url"] = f"https://github.com/{slug}"


def _link(text: str, url: str, tooltip: str, icon: str, label: str) -> dict:
    return {"type": "link", "text": text, "url": url, "tooltip": tooltip, "icon": icon, "label": label}


def _group(tooltip: str, icon: str, label: str, buttons: list[dict]) -> dict:
    return {"type": "group", "tooltip": tooltip, "icon": icon, "label": label, "buttons": buttons}


def _launch(app, page: str) -> dict:
    slug = repository_slug(app.config.html_theme_options["repository_url"])
    where = {"slug": slug, "branch": PAGES_BRANCH, "page": quote(page)}
    colab, binder = "_static/images/logo_colab.png", "_static/images/logo_binder.svg"
    buttons = [
        _link("Colab", COLAB.format(**where), "Отворете в Colab", colab, "colab"),
        _link("Binder", BINDER.format(**where), "Отворете в Binder", binder, "binder"),
    ]
    return _group("Отворете като тетрадка", "fas fa-rocket", "launch-buttons", buttons)


def _download(context: dict, page: str, is_notebook: bool) -> dict:
    pathto = context["pathto"]
    source = _link(
        ".md",
        f"{pathto('_sources', 1)}/{context['sourcename']}",
        "Изтеглете изходния текст",
        "fas fa-file",
        "download-source-button",
    )
    pdf = {
        "type": "javascript",
        "javascript": "window.print()",
        "text": ".pdf",
        "tooltip": "Отпечатайте или запазете като PDF",
        "icon": "fas fa-file-pdf",
        "label": "download-pdf-button",
    }
    notebook = _link(
        ".ipynb",
        pathto(f"notebooks/{page}.ipynb", 1),
        "Изтеглете тетрадката",
        "fas fa-code",
        "download-notebook-button",
    )
    buttons = [notebook, source, pdf] if is_notebook else [source, pdf]
    return _group("Изтеглете страницата", "fas fa-download", "download-buttons", buttons)


def rewrite(app, pagename, templatename, context, doctree) -> None:
    """Replace the theme's launch and download buttons on pages that come from a source file."""
    if not context.get("page_source_suffix"):
        return
    is_notebook = "kernelspec" in (context.get("meta") or {})
    kept = [
        b for b in context["header_buttons"] if b.get("label") not in ("download-buttons", "launch-buttons")
    ]
    ours = [_launch(app, pagename)] if is_notebook else []
    context["header_buttons"] = [*ours, _download(context, pagename, is_notebook), *kept]


def setup(app) -> None:
    app.connect("config-inited", _use_publishing_repository)
    app.connect("html-page-context", rewrite, priority=900)
