// How search results are ordered. Sphinx gives a page the score of its best word, so that most pages are equal;
// here pages also gain from every asked word in their title and from using it more than others do (`salient`,
// written by search_bg.py). Chapters come before the pages that only mention a term: the glossary, the
// bibliography, the map, the index pages.
const asked = { terms: [], numbers: [] };
const stems = (text) => splitQuery(text).map((word) => new Stemmer().stemWord(word));

// The share of words that title and question have in common (Dice's coefficient). Numbers count here only:
// Sphinx does not look for them.
const likeness = (title) => {
  const words = new Set(stems(title.replace(/<[^>]*>/g, "")).filter((word) => !stopwords.includes(word)));
  const wanted = [...asked.terms, ...asked.numbers];
  const common = wanted.filter((term) => words.has(term)).length;
  return (2 * common) / (words.size + wanted.length || 1);
};

// 1 if the page uses every asked word more than any other page, 1/2 if it is second, ...
const salience = (page) => {
  const number = Search._index.docnames.indexOf(page);
  const ranks = asked.terms.map((term) => (Search._index.salient[term] || []).indexOf(number));
  return ranks.reduce((sum, rank) => sum + (rank < 0 ? 0 : 1 / (1 + rank)), 0) / (ranks.length || 1);
};

var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
  score: ([page, title, anchor, description, score]) => {
    if (/^book\/api\//.test(page) || /^#term-/.test(anchor)) return score / 20;
    if (/^book\//.test(page)) return score < 15 ? score / 20 : score + 10 + 30 * likeness(title); // 15: a heading
    if (/\/index$/.test(page)) return score; // the page of a part: its title has words of all its chapters
    if (asked.terms.some((term) => term.includes("_"))) return score + (/^labs\//.test(page) ? 10 : 0); // code
    const chapter = /\/\d\d-/.test(page); // before the lab that practises it
    return score + 30 * likeness(title) + (chapter ? 10 + 15 * salience(page) : 0);
  },
};

// searchtools.js, which comes first, does not tell the scorer what was asked.
if (typeof Search !== "undefined") {
  const perform = Search._performSearch;
  Search._performSearch = (query, terms, ...rest) => {
    asked.terms = [...terms];
    asked.numbers = query.match(/\d+/g) || [];
    return perform(query, terms, ...rest);
  };
}
