"""Exercise 5: masks that hide the future."""

import torch

from gmtools.grading import expect, expect_no_loop

from .common import hidden, masks_of, paths


@hidden.check(
    "made_masks",
    "други размери и дълбочини: път има точно от миналото",
    points=2,
    hint="Умножете маските: на място (i, j) има нула точно когато j ≥ i.",
)
def masks_on_fresh_sizes(student, generator):
    for dim, sizes in ((2, [1]), (6, [5, 5, 5]), (9, [31]), (4, [3, 16, 7])):
        found = masks_of(student, dim, sizes)
        expect(all(bool(((m == 0) | (m == 1)).all()) for m in found), "")
        expect(torch.equal(paths(found) > 0, torch.ones(dim, dim).tril(-1) > 0), "")


@hidden.check(
    "made_masks",
    "една променлива, и тесен скрит слой",
    points=1,
    hint="При D = 1 изходът не зависи от нищо. Ако скритите единици са по-малко от D − 1, част от "
    "зависимостите липсват, но бъдещето пак е скрито.",
)
def masks_edges(student, generator):
    expect(bool((paths(masks_of(student, 1, [3])) == 0).all()), "")
    narrow = paths(masks_of(student, 8, [3, 2]))
    expect(bool((narrow.triu() == 0).all() and (narrow > 0).any()), "")


@hidden.check(
    "made_masks",
    "няма мъртви единици: всяка скрита единица вижда вход и достига до изход",
    points=1,
    hint="Степен D е безполезна: такава единица не достига до никой изход. Степените са от 1 до D − 1.",
)
def masks_without_dead_units(student, generator):
    for dim, size in ((3, 10), (5, 12), (2, 4)):
        first, last = masks_of(student, dim, [size])
        expect(bool((first.sum(1) > 0).all() and (last.sum(0) > 0).all()), "")


@hidden.check(
    "made_masks",
    "без цикли по единиците",
    points=1,
    hint="Сравнете двата вектора от степени наведнъж: a[:, None] >= b.",
)
def masks_vectorised(student, generator):
    expect(bool((paths(masks_of(student, 30, [40, 40])) > 0).any()), "")
    expect_no_loop(student, "made_masks", (3, [4, 4]), (60, [90, 90]), "размерите")


OUTPUT = "degrees[0][:, None] > degrees[-1]"
hidden.mistakes(
    "made_masks",
    ("изходът вижда себе си", OUTPUT, OUTPUT.replace(">", ">=")),
    ("скритите слоеве са строги", "after[:, None] >= before", "after[:, None] > before"),
    ("обратен ред", OUTPUT, OUTPUT.replace(">", "<")),
    ("транспонирани маски", "(after[:, None] >= before)", "(after >= before[:, None])"),
    ("липсва последната маска", "return masks + [", "return masks + 0 * ["),
    ("без маски", f"({OUTPUT})", f"({OUTPUT}) | True"),
    ("степени до D", "% max(dim - 1, 1)", "% dim"),
    ("всички степени са 1", "torch.arange(size) %", "0 * torch.arange(size) %"),
    ("степени от 0", "1 + torch.arange(size)", "torch.arange(size)"),
    ("грешка при D = 1", "max(dim - 1, 1)", "(dim - 1)"),
    ("нули", ".float() for", ".float() * 0 for"),
)


@hidden.alternative("made_masks", "със степени на равни стъпки")
def masks_by_linspace(dim, hidden):
    degrees, masks = torch.arange(dim), []
    for size in hidden:
        new = torch.linspace(0, max(dim - 2, 0), size).round()
        masks.append(torch.ge(new.unsqueeze(1), degrees.unsqueeze(0)).float())
        degrees = new
    masks.append(torch.gt(torch.arange(dim).unsqueeze(1), degrees.unsqueeze(0)).to(torch.float32))
    return tuple(masks)


@hidden.alternative("made_masks", "един остатък за всички слоеве")
def masks_by_remainder(dim, hidden):
    def degree(size):
        return torch.arange(size) % (dim - 1 if dim > 1 else 1)

    sizes = [torch.arange(dim)] + [degree(size) for size in hidden]
    inner = [
        torch.where(b[:, None] >= a[None, :], 1.0, 0.0) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    return [*inner, torch.where(sizes[-1][None, :] < sizes[0][:, None], 1.0, 0.0)]
