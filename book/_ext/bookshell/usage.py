"""The library's reference: a function names the chapters that use it, a chapter ends with its functions.

What a chapter uses is read from the imports in its code cells, so the links cannot grow stale.
"""

import ast
import importlib
import re
from functools import lru_cache
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from IPython.core.inputtransformer2 import TransformerManager
from sphinx.util.docutils import SphinxDirective

from .manifest import ROOT, slides

CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
RECORD = "usage.txt"
CHAPTER_LINE = re.compile(r"^Chapters?: (.*?)\.?$")


@lru_cache
def _used(path: Path, changed: float) -> frozenset[str]:
    names = set()
    python = TransformerManager().transform_cell  # takes the magics out
    for cell in CELL.findall(path.read_text(encoding="utf-8")):
        code = "\n".join(line for line in cell.splitlines() if not line.startswith((":", "---")))
        for node in ast.walk(ast.parse(python(code))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gmtools."):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def used_by(path: Path) -> frozenset[str]:
    """What a chapter imports from the library, as gmtools.<module>.<name>."""
    return _used(path, path.stat().st_mtime)


def _record(app) -> None:
    """Write down what each chapter uses. The reference depends on this file, not on the chapters: a change of
    prose does not make Sphinx read every module of the library again."""
    lines = [" ".join((s.docname, *sorted(used_by(s.source)))) for s in slides() if s.complete]
    path, text = Path(app.doctreedir, RECORD), "\n".join(lines)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def public_names(module) -> list[str]:
    """What a module offers: its ``__all__``, or else what it defines without an underscore."""
    own = [
        name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    ]
    names = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
    return sorted(names, key=str.lower)


class LibraryRoom(SphinxDirective):
    """Reference of one module of gmtools: every public object, then the chapters that use it."""

    required_arguments = 1

    def run(self):
        room = f"gmtools.{self.arguments[0]}"
        module = importlib.import_module(room)
        chapters = [slide for slide in slides() if slide.docname in self.env.found_docs]
        self.env.note_dependency(str(Path(self.env.doctreedir, RECORD)))
        lines = ["```{eval-rst}", f".. py:module:: {room}", "```", ""]
        for name in public_names(module):
            lines += self._entry(room, name, getattr(module, name), chapters)
        holder = nodes.Element()
        content = StringList(lines, source=self.get_source_info()[0])
        self.state.nested_parse(content, self.content_offset, holder)
        return holder.children

    def _entry(self, room: str, name: str, value, chapters) -> list[str]:
        kind = "autoclass" if isinstance(value, type) else "autofunction" if callable(value) else "py:data"
        body = {"autoclass": ":members:", "autofunction": "", "py:data": "\n   ".join(("", _values(value)))}[
            kind
        ]
        entry = ["```{eval-rst}", f".. {kind}:: {room}.{name}", *f"   {body}".splitlines(), "```", ""]
        users = [slide for slide in chapters if f"{room}.{name}" in used_by(slide.source)]
        links = ", ".join(f"{{doc}}`{slide.n}. {slide.title} </{slide.docname}>`" for slide in users)
        return [*entry, *([":::{div} library-usage", f"Използва се в: {links}", ":::", ""] if users else [])]


def _values(constant) -> str:
    """What a table of names holds, for example the toy densities."""
    names = (
        [str(name) for name in constant]
        if isinstance(constant, dict | list | tuple | set)
        else [repr(constant)]
    )
    return ", ".join(f"``{name}``" for name in names)


def _link_chapter(app, what, name, obj, options, lines) -> None:
    """Turn the docstring's ``Chapter: 3-inference/30-...`` into a link once that chapter exists."""
    known = {slide.docname: slide for slide in slides()}
    for i, line in enumerate(lines):
        match = CHAPTER_LINE.match(line)
        if match:
            docnames = [f"lectures/{part.strip()}" for part in match[1].split(",")]
            texts = [_mention(app, known[docname]) for docname in docnames if docname in known]
            lines[i] = f"Глава: {', '.join(texts)}" if texts else line


def _mention(app, slide) -> str:
    title = f"{slide.n}. {slide.title}"
    return f":doc:`{title} </{slide.docname}>`" if slide.docname in app.env.found_docs else title


def _link_library(app, doctree, docname) -> None:
    """End a chapter with links to what it uses from the library."""
    source = ROOT / f"{docname}.md"
    if not any(slide.docname == docname for slide in slides()):
        return
    objects = app.env.get_domain("py").objects
    links = []
    for name in sorted(used_by(source) & objects.keys()):
        uri = f"{app.builder.get_relative_uri(docname, objects[name].docname)}#{objects[name].node_id}"
        links += [
            nodes.Text(", "),
            nodes.reference("", "", nodes.literal("", name), refuri=uri, internal=True),
        ]
    if links:
        text = nodes.paragraph("", "", nodes.Text("От библиотеката: "), *links[1:], classes=["library-usage"])
        doctree.next_node(nodes.section).append(text)


def setup(app) -> None:
    app.add_directive("library-room", LibraryRoom)
    app.connect("builder-inited", _record)
    app.connect("autodoc-process-docstring", _link_chapter, priority=400)
    app.connect("doctree-resolved", _link_library)
