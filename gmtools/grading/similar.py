"""Near-identical submissions: what two notebooks share that few others have.

A notebook's fingerprint is the set of its runs of eight tokens, hashed, with names, texts and comments
normalised away: renaming everything changes nothing, and moving cells changes only the few runs that cross
their borders (Schleimer, Wilkerson and Aiken, 2003, Winnowing). Of a right answer there are only so many
forms, so runs that many submissions hold count for little, and two notebooks are grouped only if they also
share enough runs that are rare. It says where to look; it proves nothing.
"""

import heapq
import keyword
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np

RUN = 8
MOST = 1500  # smallest hashes kept of a fingerprint: an unbiased sketch of the set
ALIKE = 0.6  # of the weight of two fingerprints' union
RARE_RUNS = 12
MOST_ALIKE = 30
TOKEN = re.compile(
    r"(?P<text>'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")"
    r"|(?P<comment>\#[^\n]*)|(?P<attribute>\.\s*[^\W\d]\w*)|(?P<name>[^\W\d]\w*)"
    r"|(?P<number>\d[\w.]*)|(?P<sign>[^\s\w])",
    re.DOTALL,
)


def tokens(source: str) -> list[str]:
    """The tokens of a cell with names and texts made equal; attributes, numbers and keywords stay.

    >>> tokens("y = torch.exp(x)  # why")
    ['v', '=', 'v', '.exp', '(', 'v', ')']
    """
    found = []
    for match in TOKEN.finditer(source):
        kind, token = match.lastgroup, match[0]
        if kind == "name":
            found.append(token if keyword.iskeyword(token) else "v")
        elif kind not in ("comment", "text"):  # docstrings go with the comments
            found.append("".join(token.split()))
    return found


def fingerprint(cells: Iterable[str]) -> list[int]:
    """The hashes of the cells' runs of tokens, sorted; at most ``MOST``."""
    runs: set[int] = set()
    for cell in cells:
        found = tokens(cell)
        runs |= {zlib.crc32(" ".join(found[i : i + RUN]).encode()) for i in range(len(found) - RUN + 1)}
    return heapq.nsmallest(MOST, runs)


def given(folder: Path) -> set[int]:
    """The runs that the lab itself gives to everybody."""
    text = (Path(folder) / "lab.md").read_text(encoding="utf-8")
    return set(fingerprint(re.findall(r"(?ms)^```\{code-cell\}[^\n]*\n(.*?)^```", text)))


def _weights(prints: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every run, how many submissions hold it, and its weight."""
    runs, held = np.unique(np.concatenate([*prints.values(), np.empty(0, np.uint32)]), return_counts=True)
    return runs, held, np.log((len(prints) + 1) / held)


def _pairs(prints: dict[str, np.ndarray], runs: np.ndarray, held: np.ndarray) -> Counter[tuple[str, str]]:
    """How many rare runs two submissions share."""
    limit = min(max(3, len(prints) // 10), MOST_ALIKE)
    rare = runs[(held >= 2) & (held <= limit)]
    holders: dict[int, list[str]] = defaultdict(list)
    for name in sorted(prints):
        for run in np.intersect1d(prints[name], rare, assume_unique=True).tolist():
            holders[run].append(name)
    return Counter(pair for names in holders.values() for pair in combinations(names, 2))


def groups(fingerprints: dict[str, Iterable[int]], common: set[int] = frozenset()) -> list[list[str]]:
    """Names whose fingerprints are near-identical beyond ``common``, as sorted groups of two or more.

    A run is rare if at most a tenth of the submissions hold it (but three may always, and more than
    ``MOST_ALIKE`` never): larger groups than that are seen as the usual way to answer.
    """
    given_runs = np.array(sorted(common), np.uint32)
    prints = {
        name: np.setdiff1d(np.fromiter(runs, np.uint32), given_runs) for name, runs in fingerprints.items()
    }
    runs, held, weights = _weights(prints)
    leader = {name: name for name in prints}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    def weight(some: np.ndarray) -> float:
        return weights[np.searchsorted(runs, some)].sum()

    for (one, other), count in _pairs(prints, runs, held).items():
        if count >= RARE_RUNS:
            both, either = (f(prints[one], prints[other]) for f in (np.intersect1d, np.union1d))
            if weight(both) >= ALIKE * weight(either):
                leader[find(one)] = find(other)
    together = defaultdict(list)
    for name in prints:
        together[find(name)].append(name)
    return sorted(sorted(names) for names in together.values() if len(names) > 1)
