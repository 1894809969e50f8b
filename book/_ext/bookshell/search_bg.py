"""Search that finds „правдоподобието“ by „правдоподобие“: one table, read by Python and JavaScript."""

import json
from functools import lru_cache
from pathlib import Path

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


def setup(app) -> None:
    languages["bg"] = BulgarianSearch
