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
    if (/^lectures\/.*\/\d\d-/.test(page)) return score + 10;
    return /^book\/(glossary|bibliography|map|errata)$/.test(page) ? score / 20 : score;
  },
};
