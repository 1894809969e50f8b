// How search results are ordered. Chapters come before the pages that only mention a term: the glossary, the
// bibliography, the map, the index pages.
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
    if (/^lectures\/.*\/\d\d-/.test(page)) return score + 5;
    if (/^book\/api\//.test(page) || /^#term-/.test(anchor)) return score / 20;
    if (/^book\//.test(page)) return score < 15 ? score / 20 : score + 10; // 15: it stands in a heading
    return score;
  },
};
