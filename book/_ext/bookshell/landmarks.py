"""Mends what the themes and docutils get wrong for screen readers, as axe-core finds it."""

SIDEBAR = '<div id="pst-primary-sidebar"'


def with_landmarks(html: str) -> str:
    """The navigation's sidebar becomes a named region: everything on a page lies in one."""
    return html.replace(SIDEBAR, f'{SIDEBAR} role="region" aria-label="Съдържание на книгата"', 1)


def _mend_roles(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:  # doc-biblioentry is deprecated, and not allowed in a list
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def _prepare(app) -> None:
    if app.builder.format == "html":
        app.builder.templates.environment.filters["with_landmarks"] = with_landmarks


def setup(app) -> None:
    app.connect("builder-inited", _prepare)
    app.connect("html-page-context", _mend_roles)
