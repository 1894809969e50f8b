"""Text inside a paragraph: docutils nodes to Markdown that Jupyter and Colab render alike."""

import html
import re
from urllib.parse import urljoin

from docutils import nodes

SPECIAL = re.compile(r"([\\`*_$|])")
LINE_START = re.compile(r"^([#>+-]|\d+)(?=[\s.)])")
SKIPPED = (nodes.comment, nodes.target, nodes.system_message, nodes.pending, nodes.substitution_definition)


class Inline:
    """Writes runs of text; `page_url` is the published page, to which relative links are joined."""

    def __init__(self, page_url: str):
        self.page_url = page_url

    def children(self, node: nodes.Element) -> str:
        return "".join(map(self.node, node.children))

    def paragraph(self, node: nodes.Element) -> str:
        """A whole paragraph on one line: some front ends break lines where the source does."""
        return LINE_START.sub(r"\\\1", re.sub(r"[ \t\n]+", " ", self.children(node)).strip())

    def node(self, node: nodes.Node) -> str:
        for kind in type(node).__mro__:
            write = getattr(self, f"_{kind.__name__}", None)
            if write is not None:
                return write(node)
        return "" if isinstance(node, SKIPPED) else self.children(node)

    def _Text(self, node: nodes.Text) -> str:
        return html.escape(SPECIAL.sub(r"\\\1", str(node)), quote=False)

    def _emphasis(self, node) -> str:
        return f"*{self.children(node)}*"

    def _strong(self, node) -> str:
        return f"**{self.children(node)}**"

    def _literal(self, node) -> str:
        text = node.astext()
        fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
        return f"{fence}{text}{fence}"

    def _math(self, node) -> str:
        return f"${' '.join(node.astext().split())}$"

    def _subscript(self, node) -> str:
        return f"<sub>{self.children(node)}</sub>"

    def _superscript(self, node) -> str:
        return f"<sup>{self.children(node)}</sup>"

    def _footnote_reference(self, node) -> str:
        return f"<sup>{self.children(node)}</sup>"

    def _reference(self, node) -> str:
        target = node.get("refuri") or f"#{node['refid']}"
        text = self.children(node)
        return f"[{text.strip()}]({self.url(target)})" if text.strip() else ""

    _number_reference = _reference

    def _raw(self, node) -> str:
        return node.astext() if node.get("format") == "html" else ""

    def url(self, target: str) -> str:
        return urljoin(self.page_url, target).replace(" ", "%20").replace(")", "%29")
