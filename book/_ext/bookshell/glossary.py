"""The definition of a glossary term, shown when the pointer rests on a link to it."""

from docutils import nodes
from sphinx import addnodes


def _definitions(app, doctree) -> None:
    """Remember each term's first sentence while its page is read."""
    found = app.env.metadata[app.env.docname].setdefault("definitions", {})
    for glossary in doctree.findall(addnodes.glossary):
        for item in glossary.findall(nodes.definition_list_item):
            text = " ".join(item.next_node(nodes.definition).astext().split())
            for term in item.findall(nodes.term):
                for identifier in term["ids"]:
                    found[identifier] = text


def _show(app, doctree, docname) -> None:
    known = {
        identifier: text
        for metadata in app.env.metadata.values()
        for identifier, text in metadata.get("definitions", {}).items()
    }
    for reference in doctree.findall(nodes.reference):
        identifier = reference.get("refid") or reference.get("refuri", "").partition("#")[2]
        if identifier.startswith("term-") and identifier in known:
            reference["reftitle"] = known[identifier]


def setup(app) -> None:
    app.connect("doctree-read", _definitions)
    app.connect("doctree-resolved", _show)
