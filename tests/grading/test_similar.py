"""Groups of near-identical notebooks: precision and recall on made classes with made copies."""

import random
import re
from functools import cache
from pathlib import Path

import pytest

from gmtools.grading import similar, solve
from gmtools.grading.lab import load_graded
from gmtools.grading.similar import fingerprint, groups

LAB = Path(__file__).parent / "course" / "labs" / "bound"
FUNCTIONS = (
    "exp",
    "log1p",
    "tanh",
    "sin",
    "abs",
    "sqrt",
    "sigmoid",
    "cumsum",
    "relu",
    "square",
    "erf",
    "cos",
)


def own_code(dice):
    """A few cells of a student's own: plots, trials, a training loop."""
    cells = []
    for i in range(dice.randint(3, 6)):
        first, second, third = dice.sample(FUNCTIONS, 3)
        a, b = dice.randint(2, 90), round(dice.uniform(0.1, 9), 2)
        cells.append(
            dice.choice(
                [
                    f"grid{i} = torch.linspace(-{b}, {a}, {a})\nplt.plot(grid{i}, grid{i}.{first}() - {b})",
                    f"for step in range({a}):\n    loss = (w.{first}() * {b} + w.{second}()).mean()",
                    f"def trial{i}(x, y={b}):\n    return y if x.{first}() > {a} else x.{third}() / {a}",
                    f"print([trial(k) ** {a} for k in data if k.{second}() < {b}], x.{third}().shape)",
                ]
            )
        )
    return cells


@cache
def variants():
    lab, hidden = load_graded(LAB)
    found = solve.variants(LAB, lab, hidden)
    return [v.cells for v in found if v.kind in ("alternative", "mutant")]


def student(seed):
    """The right answers or typical mistakes, as everybody writes them, among code of one's own."""
    dice = random.Random(seed)
    return [*dice.choice(variants()), *own_code(dice)]


def copied(cells, seed):
    """The same with every name changed, cells moved, and other comments."""
    dice = random.Random(seed)
    found = {w for cell in cells for w in re.findall(r"(?<![\w.'\"])[a-z_]\w*\b(?!['\"])", cell)}
    names = sorted(w for w in found if w not in similar.keyword.kwlist)
    new = {name: f"n{i}_{dice.randint(0, 99)}" for i, name in enumerate(names)}
    renamed = [re.sub(r"(?<![\w.])[a-z_]\w*", lambda m: new.get(m[0], m[0]), cell) for cell in cells]
    dice.shuffle(renamed)
    return [f"# {dice.random()}\n{cell}  # моят код" for cell in renamed]


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_found_and_independent_work_is_not(seed):
    """60 students by themselves, 20 copies of some: the pairs found against the pairs made."""
    made = {f"s{i}": student(1000 * seed + i) for i in range(60)}
    true = set()
    for i in range(20):
        made[f"copy{i}"] = copied(made[f"s{i}"], i)
        true.add(frozenset((f"s{i}", f"copy{i}")))
    found = groups({n: fingerprint(c) for n, c in made.items()}, similar.given(LAB))
    pairs = {frozenset((a, b)) for group in found for a in group for b in group if a < b}
    recall, precision = len(pairs & true) / len(true), len(pairs & true) / max(len(pairs), 1)
    assert recall >= 0.95 and precision >= 0.95, (recall, precision)


def test_the_given_notebook_makes_nobody_alike():
    stubs = solve.cells_of(solve.student_notebook(LAB))
    prints = {f"s{i}": fingerprint([*stubs, f"x{i} = {i}"]) for i in range(3)}
    assert groups(prints, similar.given(LAB)) == []


def test_the_same_right_answer_of_a_whole_class_is_no_copy():
    answers = [solve.solution_source(LAB)]
    prints = {f"s{i}": fingerprint([*answers, *own_code(random.Random(i))]) for i in range(40)}
    assert groups(prints, similar.given(LAB)) == []


def test_hostile_text_takes_linear_time():
    for text in ("'" * 10**5, '"""' * 10**5, "a" * 10**6, "." * 10**5, "\\" * 10**5, ". " * 10**5):
        assert len(fingerprint([text])) <= similar.MOST
