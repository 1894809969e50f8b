"""The trained generator."""

import math
from functools import partial

import torch

from gmtools.data import EightGaussians
from gmtools.grading import damage, expect

from .common import hidden, public
from .mode_shares import true_shares


@hidden.check(
    "generator",
    "с друг шум: и осемте моди, поне 85 % близо до тях",
    points=2,
    hint="Ако прагът се достига само понякога, обучението е спряло, преди да се е уталожило.",
)
def generator_with_other_noise(student, generator):
    weights = student.weights("generator")
    expect(public.covered(weights, generator, 0.05) == public.MODES, "")
    expect(public.quality(weights, generator) >= 0.85, "")


@hidden.check(
    "generator",
    "MMD² спрямо нови данни е най-много 0,025",
    points=4,
    hint="Тесните ядра виждат и формата на отделното петно: не стига точките да са в центъра му. Опитайте с "
    "по-силно "
    "наказание, повече стъпки или по-голям пакет.",
)
def generator_has_the_shape_of_the_data(student, generator):
    found = public.discrepancy(student.weights("generator"), generator)
    expect(found <= 0.025, "")


def seeded_generator():
    return torch.Generator().manual_seed(0)


@hidden.metric("generator", threshold=0.05, margin=0.02)
def rarest_mode(weights):
    """The smallest share that a mode gets."""
    x = public.drawn(weights, seeded_generator())
    return true_shares(x, EightGaussians().means, public.RADIUS).min().item()


@hidden.metric("generator", threshold=0.85, margin=0.03)
def share_near_a_mode(weights):
    return public.quality(weights, seeded_generator())


@hidden.metric("generator", threshold=-0.025, margin=0.005)
def minus_discrepancy(weights):
    return -public.discrepancy(weights, seeded_generator())


def changed_output(weights: dict, matrix, shift=(0.0, 0.0)) -> dict:
    """The same network followed by an affine map of the plane."""
    name, matrix = f"layers.{damage.last_number(weights)}", torch.tensor(matrix)
    bias = matrix @ weights[f"{name}.bias"] + torch.tensor(shift)
    return weights | {f"{name}.weight": matrix @ weights[f"{name}.weight"], f"{name}.bias": bias}


hidden.damage("generator", "преди обучението")(damage.untrained)
TURN = math.cos(math.pi / 8), math.sin(math.pi / 8)
for title, matrix, shift in (
    ("постоянна точка: центърът на една мода", ((0.0, 0.0), (0.0, 0.0)), (2.0, 0.0)),
    ("една мода", ((0.09, 0.0), (0.0, 0.09)), (0.0, 2.0)),
    ("сплескана върху ос", ((1.0, 0.0), (0.0, 0.0)), (0.0, 0.0)),
    ("уголемена извадка", ((1.4, 0.0), (0.0, 1.4)), (0.0, 0.0)),
    ("завъртяна между модите", ((TURN[0], -TURN[1]), (TURN[1], TURN[0])), (0.0, 0.0)),
):
    hidden.damage("generator", title)(partial(changed_output, matrix=matrix, shift=shift))
hidden.damage("generator", "NaN в теглата")(damage.not_a_number)


@hidden.damage("generator", "огромна мрежа")
def oversized(weights):
    return {"layers.0.weight": torch.ones(60_000, 2), "layers.0.bias": torch.ones(60_000),
            "layers.2.weight": torch.ones(2, 60_000), "layers.2.bias": torch.ones(2)}  # fmt: skip


hidden.damage("generator", "числа вместо тегла")(damage.reported_numbers)


@hidden.alternative("generator", "огледално по едната ос")
def mirrored(weights):
    return changed_output(weights, [[-1.0, 0.0], [0.0, 1.0]])


@hidden.alternative("generator", "в двойна точност, завъртяно на четвърт")
def turned(weights):
    return damage.in_double(changed_output(weights, [[0.0, -1.0], [1.0, 0.0]]))
