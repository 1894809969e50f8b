"""Search that finds „правдоподобието“ by „правдоподобие“: one table, read by Python and JavaScript.

Sphinx's index says which pages have a word, not which page is about it. `salient` adds that: for each word
the pages that use it most, best first. scorer.js orders the results by it.
"""

import json
from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path

from docutils import nodes
from sphinx.search import SearchLanguage, languages

TABLE = json.loads((Path(__file__).parent / "search_bg.json").read_text(encoding="utf-8"))

# -нта is градиент + а, not градиен + та: what is kept comes before what is stripped.
ENDINGS = [*TABLE["kept"], *([suffix, ""] for suffix in TABLE["suffixes"])]

JAVASCRIPT = """
const BULGARIAN = %s;
class Stemmer {
  stemWord(word) {
    let stem = word.toLowerCase();
    const fits = ([from, to]) =>
      stem.endsWith(from) && stem.length - from.length + to.length >= BULGARIAN.shortest;
    const replace = ([from, to]) => { stem = stem.slice(0, stem.length - from.length) + to; };
    const ending = BULGARIAN.endings.find(fits);
    if (ending) replace(ending);
    for (const pair of BULGARIAN.alternations) if (fits(pair)) replace(pair);
    return stem;
  }
}
"""


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Strip the longest known ending, then level the vowels and consonants that inflection changes."""
    word = word.lower()

    def fits(old: str, new: str) -> bool:
        return word.endswith(old) and len(word) - len(old) + len(new) >= TABLE["shortest"]

    ending = next((pair for pair in ENDINGS if fits(*pair)), None)
    for old, new in [*([ending] if ending else []), *TABLE["alternations"]]:
        if fits(old, new):
            word = word.removesuffix(old) + new
    return word


class BulgarianSearch(SearchLanguage):
    lang = "bg"
    language_name = "Bulgarian"
    stopwords = set(TABLE["stopwords"])
    js_stemmer_code = JAVASCRIPT % json.dumps(
        {"endings": ENDINGS, "alternations": TABLE["alternations"], "shortest": TABLE["shortest"]},
        ensure_ascii=False,
    )

    def stem(self, word: str) -> str:
        return stem(word)

    def word_filter(self, word: str) -> bool:
        return word not in self.stopwords and not word.isdigit()


RANKED = 3  # pages kept for a word
WEIGHTS = {nodes.literal_block: 0, nodes.emphasis: 4, nodes.title: 4}  # italics: terms when introduced


def count_words(app, doctree) -> None:
    """How often the page uses each word: code does not count, headings and introduced terms count more."""
    search, counts = BulgarianSearch({}), Counter()
    for text in doctree.findall(nodes.Text):
        for word in search.split(text.lower()):
            if search.word_filter(word):
                counts[search.stem(word)] += WEIGHTS.get(type(text.parent), 1)
    _counts(app.env)[app.env.docname] = counts


def _counts(env) -> dict[str, Counter]:
    if not hasattr(env, "bookshell_words"):
        env.bookshell_words = {}
    return env.bookshell_words


def _forget(app, env, docname) -> None:
    _counts(env).pop(docname, None)


def salient(counts: dict[str, Counter], docnames: list[str]) -> dict[str, list[int]]:
    """For each word of several chapters or labs the numbers of those that use it most, best first."""
    users = defaultdict(list)
    for number, docname in enumerate(docnames):
        if docname.startswith(("lectures/", "labs/")):
            for word, count in counts.get(docname, {}).items():
                users[word].append((-count, number))
    return {word: [n for _, n in sorted(pages)[:RANKED]] for word, pages in users.items() if len(pages) > 1}


def _extend_index(app) -> list:
    """Put the order into what is written as searchindex.js; adds no page."""
    indexer = getattr(app.builder, "indexer", None)
    if indexer is None:
        return []
    freeze = indexer.freeze

    def with_salient() -> dict:
        index = freeze()
        return index | {"salient": salient(_counts(app.env), index["docnames"])}

    indexer.freeze = with_salient
    return []


def setup(app) -> None:
    languages["bg"] = BulgarianSearch
    app.connect("doctree-read", count_words)
    app.connect("env-purge-doc", _forget)
    app.connect("html-collect-pages", _extend_index)
