"""A resolved page as plain notebook Markdown: a sequence of texts and of the code cells between them.

The doctree is what Sphinx writes the HTML page from: numbers, references, citations and glued values are
already in it, so nothing is resolved twice and the notebook cannot say anything else than the page.
"""

import base64
import mimetypes
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.locale import admonitionlabels
from sphinx.util.math import get_node_equation_number
from sphinx_proof.nodes import _ as translate_proof

from .fragments import folded, list_item, no_pipes, quoted
from .inline import SKIPPED, Inline


@dataclass(frozen=True)
class Code:
    """A code cell of the notebook, by its index there; `folded` inside a solution."""

    index: int
    folded: bool = False


Part = str | Code
ENVIRONMENT = re.compile(r"\\(begin|end)\{(align|gather|equation|multline)\*?\}")
LINK = re.compile(r"\[([^\]]*)\]\(http[^)]*\)")  # headings and summaries of folded parts hold no links
INNER = {"align": "aligned", "gather": "gathered", "equation": "aligned", "multline": "aligned"}


class Markdown:
    """Writes one page; `parts(document)` is the way in."""

    def __init__(self, app: Sphinx, page: str, page_url: str):
        self._app, self._page = app, page
        self._inline = Inline(page_url)
        self._depth = 0

    def parts(self, node: nodes.Element) -> Iterator[Part]:
        """The parts of all children, in order."""
        for child in node.children:
            yield from self._block(child)

    def _block(self, node: nodes.Node) -> Iterator[Part]:
        if isinstance(node, SKIPPED + (nodes.title, nodes.meta, nodes.docinfo)):
            return
        if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code":
            yield from self._cell(node)
            return
        if "realtype" in node:
            yield from self._boxed(node, f"{translate_proof(node['realtype'].title())} {self._number(node)}")
            return
        for kind in type(node).__mro__:
            write: Callable | None = getattr(self, f"_{kind.__name__}", None)
            if write is not None:
                yield from write(node)
                return
        if isinstance(node, nodes.TextElement | nodes.Text | nodes.Inline):
            yield self._inline.paragraph(node) if isinstance(node, nodes.Element) else self._inline.node(node)
        else:
            yield from self.parts(node)

    # --- sections and text

    def _section(self, node) -> Iterator[Part]:
        title = next(iter(node.findall(nodes.title, descend=True)), None)
        if title is None or title.parent is not node:
            yield from self.parts(node)
            return
        self._depth += 1
        yield f"{'#' * min(self._depth, 6)} {self._section_number()}{self._inline.paragraph(title)}"
        yield from self.parts(node)
        self._depth -= 1

    def _section_number(self) -> str:
        number = self._app.env.toc_secnumbers.get(self._page, {}).get("", ())
        return f"{'.'.join(map(str, number))}. " if self._depth == 1 and number else ""

    def _paragraph(self, node) -> Iterator[Part]:
        yield self._inline.paragraph(node)

    def _transition(self, node) -> Iterator[Part]:
        yield "---"

    def _rubric(self, node) -> Iterator[Part]:
        yield f"**{self._inline.paragraph(node)}**"

    def _block_quote(self, node) -> Iterator[Part]:
        yield quoted(self._text(node))

    def _line_block(self, node) -> Iterator[Part]:
        yield "<br>".join(self._inline.paragraph(line) for line in node.findall(nodes.line))

    def _literal_block(self, node) -> Iterator[Part]:
        language = node.get("language", "")
        yield f"````{'' if language in ('none', 'default') else language}\n{node.astext().rstrip()}\n````"

    def _raw(self, node) -> Iterator[Part]:
        if node.get("format") == "html" and "<script" not in node.astext():
            yield node.astext().strip()

    def _math_block(self, node) -> Iterator[Part]:
        tex = ENVIRONMENT.sub(lambda m: f"\\{m[1]}{{{INNER[m[2]]}}}", node.astext().strip())
        if "\\\\" in tex and not re.search(r"\\begin\{", tex):
            tex = f"\\begin{{aligned}}\n{tex}\n\\end{{aligned}}"
        if node.get("label"):
            number = get_node_equation_number(SimpleNamespace(builder=self._app.builder), node)
            tex += f" \\tag{{{number}}}"
        yield f"$$\n{tex}\n$$"

    # --- lists and tables

    def _bullet_list(self, node) -> Iterator[Part]:
        yield "\n".join(list_item("- ", self._text(item)) for item in node.children)

    def _enumerated_list(self, node) -> Iterator[Part]:
        start = node.get("start", 1)
        yield "\n".join(list_item(f"{start + i}. ", self._text(item)) for i, item in enumerate(node.children))

    def _definition_list(self, node) -> Iterator[Part]:
        yield "\n".join(
            list_item("- ", self._definition(item)) for item in node.findall(nodes.definition_list_item)
        )

    def _definition(self, item) -> str:
        terms = [
            f"**{self._inline.paragraph(term)}**" for term in item.children if isinstance(term, nodes.term)
        ]
        meanings = [self._text(d) for d in item.children if isinstance(d, nodes.definition)]
        return ", ".join(terms) + " – " + "\n\n".join(meanings)

    def _footnote(self, node) -> Iterator[Part]:
        label, *body = node.children
        yield f"<sup>{label.astext()}</sup> {self._text(nodes.container('', *[b.deepcopy() for b in body]))}"

    def _citation(self, node) -> Iterator[Part]:
        label, *body = node.children
        yield f"- [{label.astext()}] {self._text(nodes.container('', *[b.deepcopy() for b in body]))}"

    def _table(self, node) -> Iterator[Part]:
        rows = [
            [" ".join(self._text(cell).split()) for cell in row.findall(nodes.entry)]
            for row in node.findall(nodes.row)
        ]
        rows = [["".join(no_pipes(cell)) for cell in row] for row in rows]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, "|" + "---|" * len(rows[0]))
        yield "\n".join(lines)
        yield from self._caption(node, nodes.title)

    # --- figures

    def _image(self, node) -> Iterator[Part]:
        yield f"![{node.get('alt', '')}]({self._picture(node)})"

    def _picture(self, node) -> str:
        """The picture itself: a notebook travels without the files that lie beside the page."""
        path = Path(self._app.srcdir, node.get("candidates", {}).get("*", ""))
        if not path.is_file():
            return self._inline.url(node["uri"])
        kind = mimetypes.guess_type(path.name)[0]
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"

    def _figure(self, node) -> Iterator[Part]:
        inner = [child for child in node.children if not isinstance(child, nodes.caption)]
        for child in inner:
            yield from self._block(child)
        yield from self._caption(node, nodes.caption)

    def _caption(self, node, kind) -> Iterator[Part]:
        for caption in (child for child in node.children if isinstance(child, kind)):
            name = self._name(node)
            yield (f"**{name}.** " if name else "") + self._inline.paragraph(caption)

    # --- boxes

    def _Admonition(self, node) -> Iterator[Part]:
        default = admonitionlabels.get(node.tagname, "")
        yield from self._boxed(node, self._name(node), default=str(default))

    _topic = _sidebar = _Admonition

    def _boxed(self, node, name: str, default: str = "") -> Iterator[Part]:
        """An admonition, theorem or exercise: a quotation with a bold head; folded if the page folds it."""
        title = next((child for child in node.children if isinstance(child, nodes.title)), None)
        own = LINK.sub(r" \1 ", self._inline.paragraph(title)) if title is not None else default
        head = " ".join(f"{name} {own}".split())
        parts = list(self.parts(node))
        heading = f"{'#' * min(self._depth + 1, 6)} {head}"
        if any(isinstance(part, Code) for part in parts):
            yield heading
            yield from (Code(p.index, folded=True) if isinstance(p, Code) else p for p in parts)
        elif "dropdown" in node.get("classes", ()):
            yield folded(head, "\n\n".join(parts))
        elif "exercise" in node.get("classes", ()):
            yield "\n\n".join([heading, *parts])
        elif parts and not head and all(part.startswith(">") for part in parts):
            yield from parts  # a box in a box
        else:
            yield quoted((f"**{head}**\n\n" if head else "") + "\n\n".join(parts))

    def _dropdown_main(self, node) -> Iterator[Part]:
        title, *body = node.children
        text = " ".join(
            span.astext() for span in title.findall(nodes.inline) if "sd-summary-text" in span["classes"]
        )
        yield folded(text, self._text(nodes.container("", *[part.deepcopy() for part in body])))

    # --- code cells

    def _cell(self, node) -> Iterator[Part]:
        yield Code(node["cell_index"])
        for figure in node.findall(nodes.figure):
            yield from self._caption(figure, nodes.caption)

    # --- numbers and nested text

    def _name(self, node) -> str:
        """Sphinx's own „Фигура 30.1“, as its HTML writer makes it."""
        number = self._number(node)
        kind = self._app.env.domains["std"].get_enumerable_node_type(node)
        return self._app.config.numfig_format.get(kind, "%s") % number if number else ""

    def _number(self, node) -> str:
        kind = node.get("countertype") or self._app.env.domains["std"].get_enumerable_node_type(node)
        numbers = self._app.env.toc_fignumbers.get(self._page, {}).get(kind, {})
        return ".".join(map(str, next((numbers[i] for i in node.get("ids", []) if i in numbers), ())))

    def _text(self, node: nodes.Element) -> str:
        """Children that cannot hold code cells, as one text."""
        return "\n\n".join(part for part in self.parts(node) if isinstance(part, str))
