"""Mends what the themes and docutils get wrong for screen readers, as axe-core finds it."""

SIDEBAR = '<div id="pst-primary-sidebar"'
TOGGLE = '<summary><span class="toctree-toggle"'


def with_landmarks(html: str) -> str:
    """The navigation's sidebar becomes a named region, and the arrows in it say what they open."""
    html = html.replace(SIDEBAR, f'{SIDEBAR} role="region" aria-label="Съдържание на книгата"', 1)
    return html.replace(TOGGLE, TOGGLE.replace("<summary>", '<summary aria-label="Главите на тази част">'))


def mended(body: str) -> str:
    """doc-biblioentry is deprecated and not allowed in a list; folded code is named by its Bulgarian text."""
    body = body.replace('role="doc-biblioentry"', 'role="listitem"')
    return body.replace(' aria-label="Toggle hidden content"', "")


def _mend_body(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:
        context["body"] = mended(context["body"])


def _prepare(app) -> None:
    if app.builder.format == "html":
        app.builder.templates.environment.filters["with_landmarks"] = with_landmarks


def setup(app) -> None:
    app.connect("builder-inited", _prepare)
    app.connect("html-page-context", _mend_body)
