"""Directives that draw the deck from the manifest: the map of all slides and a part's chapters to come."""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from .manifest import Slide, parts


def _present(env, slide: Slide) -> bool:
    return slide.docname in env.found_docs


def _link(env, slide: Slide, text: str) -> nodes.reference:
    here = env.docname.count("/")
    return nodes.reference("", text, refuri="../" * here + slide.docname + ".html", internal=True)


def _paragraph(*children, classes=()) -> nodes.paragraph:
    return nodes.paragraph("", "", *children, classes=list(classes))


class DeckMap(SphinxDirective):
    """Every slide of the deck, part by part; those that have a chapter lead to it."""

    def run(self):
        self.env.note_reread()
        return [node for part in parts() for node in self._part(part)]

    def _part(self, part):
        done = sum(_present(self.env, slide) for slide in part.slides)
        heading = nodes.rubric("", f"{part.number}. {part.title}")
        count = _paragraph(nodes.Text(f"Готови глави: {done} от {len(part.slides)}"), classes=["deck-count"])
        items = nodes.enumerated_list("", start=part.slides[0].n, enumtype="arabic", suffix=".", prefix="")
        items["classes"].append("deck-map")
        items.extend(self._item(slide) for slide in part.slides)
        return [heading, count, items]

    def _item(self, slide: Slide):
        present = _present(self.env, slide)
        title = _link(self.env, slide, slide.title) if present else nodes.Text(slide.title)
        wording = nodes.inline("", f"„{slide.deck}“", classes=["deck-wording"])
        body = [_paragraph(title), _paragraph(wording)]
        return nodes.list_item("", *body, classes=["deck-present" if present else "deck-coming"])


class ComingChapters(SphinxDirective):
    """The chapters of one part that are still to be written; nothing when the part is complete."""

    required_arguments = 1

    def run(self):
        self.env.note_reread()
        part = next(part for part in parts() if part.dir == self.arguments[0])
        coming = [slide for slide in part.slides if not _present(self.env, slide)]
        if not coming:
            return []
        items = nodes.bullet_list(classes=["deck-coming-list"])
        items.extend(nodes.list_item("", _paragraph(nodes.Text(f"{s.n}. {s.title}"))) for s in coming)
        return [nodes.rubric("", "Предстоят"), items]


class ReadyChapters(SphinxDirective):
    """The chapters of one part that can be read, as links."""

    required_arguments = 1

    def run(self):
        self.env.note_reread()
        part = next(part for part in parts() if part.dir == self.arguments[0])
        ready = [slide for slide in part.slides if _present(self.env, slide)]
        if not ready:
            return []
        items = nodes.bullet_list(classes=["deck-ready-list"])
        items.extend(nodes.list_item("", _paragraph(_link(self.env, s, f"{s.n}. {s.title}"))) for s in ready)
        return [nodes.rubric("", "Готови глави"), items]


def setup(app) -> None:
    app.add_directive("deck-map", DeckMap)
    app.add_directive("coming-chapters", ComingChapters)
    app.add_directive("ready-chapters", ReadyChapters)
