"""The trained binary autoencoder."""

import torch

from gmtools.data import digits
from gmtools.grading import damage
from gmtools.grading.rebuild import expect_bound

from .common import hidden, public


@hidden.check(
    "vae",
    "границата върху тестовите цифри е поне −22 ната",
    points=2,
    hint="Моделът се учи, но не стига: повече стъпки, повече реализации или по-големи мрежи.",
)
def vae_learns(student, generator):
    bound = public.held_out_bound(student.weights("vae"), digits().test, generator)
    expect_bound(bound, -22.0)


@hidden.check(
    "vae",
    "границата върху тестовите цифри е поне −19,5 ната",
    points=4,
    hint="Ако отделените цифри достигат прага, а тестовите – не, мрежата или изборът ѝ се преобучава.",
)
def vae_generalises(student, generator):
    bound = public.held_out_bound(student.weights("vae"), digits().test, generator)
    expect_bound(bound, -19.5)


@hidden.metric("vae", threshold=-19.5, margin=0.5)
def test_bound(weights):
    return public.held_out_bound(weights, digits().test, torch.Generator().manual_seed(0))


FIRST, LAST = "layers.0.weight", "layers.4.weight"


hidden.damage("vae", "преди обучението")(damage.untrained)
hidden.damage("vae", "само декодерът е обучен")(damage.trained_only("decoder"))
hidden.damage("vae", "обърнати битове")(damage.scaled(-1.0, f"decoder.{FIRST}"))
hidden.damage("vae", "увеличени логити, за да изглежда по-сигурен")(damage.scaled(4.0, f"decoder.{LAST}"))
hidden.damage("vae", "NaN в теглата")(damage.not_a_number)
hidden.damage("vae", "числа вместо тегла")(damage.reported_numbers)


@hidden.alternative("vae", "битовете в друг ред")
def permuted_bits(weights):
    torch.manual_seed(0)
    order = torch.randperm(len(weights["encoder.layers.4.bias"]))
    heads = {name: weights[name][order] for name in (f"encoder.{LAST}", "encoder.layers.4.bias")}
    return weights | heads | {f"decoder.{FIRST}": weights[f"decoder.{FIRST}"][:, order]}


@hidden.alternative("vae", "обратен смисъл на битовете, навсякъде")
def negated_bits(weights):
    first = weights[f"decoder.{FIRST}"]
    return weights | {
        f"encoder.{LAST}": -weights[f"encoder.{LAST}"],
        "encoder.layers.4.bias": -weights["encoder.layers.4.bias"],
        f"decoder.{FIRST}": -first,
        "decoder.layers.0.bias": weights["decoder.layers.0.bias"] + first.sum(1),
    }
