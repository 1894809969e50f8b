"""Citations and references in Bulgarian: „Kingma и Welling (2014)“, „Blei и др.“."""

from dataclasses import dataclass, field

import pybtex.plugin
from pybtex.richtext import Text
from pybtex.style.formatting.unsrt import Style
from pybtex.style.template import names, sentence
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing import PersonStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle


def _person() -> PersonStyle:
    return PersonStyle(sep2=" и ", last_sep=" и ", other=Text(" и др."))


@dataclass
class BulgarianAuthorYear(AuthorYearReferenceStyle):
    """How the text cites: author and year with Bulgarian conjunctions (``bibtex_reference_style``)."""

    person: PersonStyle = field(default_factory=_person)


class BulgarianReferences(Style):
    """How the list of references is written (``bibtex_default_style``)."""

    def format_names(self, role, as_sentence=True):
        formatted = names(role, sep=", ", sep2=" и ", last_sep=" и ")
        return sentence[formatted] if as_sentence else formatted

    def get_inproceedings_template(self, entry):
        template = super().get_inproceedings_template(entry)
        template.children[2].children[0] = "В"  # where the English style says "In"
        return template


def setup(app) -> None:
    register_plugin(
        "sphinxcontrib.bibtex.style.referencing", "author_year_bg", BulgarianAuthorYear, force=True
    )
    pybtex.plugin.register_plugin("pybtex.style.formatting", "bulgarian", BulgarianReferences, force=True)
