"""Bulgarian interface strings, compiled from book/locales at every build.

Our catalogues come first and the ones that ship with Sphinx and the themes stay as fallback, so that a string
of ours always wins over a wrong translation of theirs.
"""

import json
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from sphinx import locale
from sphinx.domains.python import PyObject

SOURCES = Path(__file__).parents[2] / "locales"


def compile_catalogues(language: str, target: Path) -> list[str]:
    """Write ``target/<language>/LC_MESSAGES/<domain>.mo`` (and sphinx.js) and return the domains."""
    folder = target / language / "LC_MESSAGES"
    folder.mkdir(parents=True, exist_ok=True)
    domains = []
    for source in sorted((SOURCES / language / "LC_MESSAGES").glob("*.po")):
        with source.open("rb") as file:
            catalogue = read_po(file, locale=language)
        with (folder / f"{source.stem}.mo").open("wb") as file:
            write_mo(file, catalogue)
        if source.stem == "sphinx":
            (folder / "sphinx.js").write_text(_javascript(catalogue, language), encoding="utf-8")
        domains.append(source.stem)
    return domains


def _javascript(catalogue, language: str) -> str:
    messages = {m.id: m.string for m in catalogue if isinstance(m.id, str) and m.id and m.string}
    data = {"locale": language, "messages": messages, "plural_expr": "(n != 1)"}
    return f"Documentation.addTranslations({json.dumps(data, ensure_ascii=False, sort_keys=True)});\n"


def _prefer(domain: str, folder: Path, language: str):
    """Put our catalogue before those already loaded for `domain`."""
    theirs = locale.translators.pop(("general", domain), None)
    ours, _ = locale.init([folder], language, domain)
    if theirs is not None:
        ours.add_fallback(theirs)
    return ours


def _load(app, config) -> None:
    if not (SOURCES / config.language).is_dir():
        return
    target = Path(app.doctreedir) / "locales"
    for domain in compile_catalogues(config.language, target):
        translator = _prefer(domain, target, config.language)
        if domain == "sphinx":
            app.translator = translator  # what the templates' _() asks
            _translate_domains(app, translator)
    config.locale_dirs = [str(target), *config.locale_dirs]  # where Sphinx looks for sphinx.js


def _translate_domains(app, translator) -> None:
    """Names that the domains looked up when they were imported, before our catalogues were there."""
    for domain in app.registry.domains.values():
        for kind in domain.object_types.values():
            kind.lname = translator.gettext(str(kind.lname))
    for field in PyObject.doc_field_types:
        field.label = translator.gettext(str(field.label))


def setup(app) -> None:
    # Before 500: the extensions translate their defaults in their own config-inited handlers.
    app.connect("config-inited", _load, priority=100)
