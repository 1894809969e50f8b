"""The trained autoencoder."""

import torch

from gmtools.data import digits
from gmtools.grading import damage
from gmtools.grading.rebuild import expect_bound

from .common import hidden, public


@hidden.check(
    "vae",
    "границата върху тестовите цифри е поне −21 ната",
    points=4,
    hint="Моделът се учи, но не стига: повече стъпки, по-големи мрежи или по-голямо D_Z.",
)
def vae_learns(student, generator):
    bound = public.held_out_bound(student.weights("vae"), digits().test, generator)
    expect_bound(bound, -21.0)


@hidden.check(
    "vae",
    "границата върху тестовите цифри е поне −18 ната",
    points=8,
    hint="Ако отделените цифри достигат прага, а тестовите – не, мрежата или изборът ѝ се преобучава.",
)
def vae_generalises(student, generator):
    bound = public.held_out_bound(student.weights("vae"), digits().test, generator)
    expect_bound(bound, -18.0)


@hidden.metric("vae", threshold=-18.0, margin=0.6)
def test_bound(weights):
    return public.held_out_bound(weights, digits().test, torch.Generator().manual_seed(0))


FIRST, LAST = "layers.0.weight", "layers.4.weight"


hidden.damage("vae", "преди обучението")(damage.untrained)
hidden.damage("vae", "само декодерът е обучен")(damage.trained_only("decoder"))
hidden.damage("vae", "декодерът не гледа z")(damage.scaled(0.0, f"decoder.{FIRST}"))


@hidden.damage("vae", "размяна на mu и logvar")
def swapped_heads(weights):
    names = [f"encoder.layers.4.{kind}" for kind in ("weight", "bias")]
    return weights | {name: weights[name].roll(len(weights[name]) // 2, 0) for name in names}


@hidden.damage("vae", "всички скрити числа са сигурни: много малко σ")
def overconfident(weights):
    bias = weights["encoder.layers.4.bias"].clone()
    bias[len(bias) // 2 :] -= 8
    return weights | {"encoder.layers.4.bias": bias}


hidden.damage("vae", "увеличени логити, за да изглежда по-сигурен")(damage.scaled(4.0, f"decoder.{LAST}"))
hidden.damage("vae", "NaN в теглата")(damage.not_a_number)


@hidden.damage("vae", "без декодер")
def half_a_model(weights):
    return {k: v for k, v in weights.items() if k.startswith("encoder")}


@hidden.damage("vae", "чужда архитектура")
def other_shapes(weights):
    return weights | {f"decoder.{LAST}": weights[f"decoder.{LAST}"][:-1]}


hidden.damage("vae", "числа вместо тегла")(damage.reported_numbers)


@hidden.alternative("vae", "скритите неврони в друг ред")
def permuted_neurons(weights):
    torch.manual_seed(0)
    order = torch.randperm(len(weights[f"decoder.{FIRST}"]))
    changes = {name: weights[name][order] for name in (f"decoder.{FIRST}", "decoder.layers.0.bias")}
    second = "decoder.layers.2.weight"
    return weights | changes | {second: weights[second][:, order]}


@hidden.alternative("vae", "огледално пространство на скритите числа")
def mirrored_latents(weights):
    half = len(weights["encoder.layers.4.bias"]) // 2
    sign = torch.cat([-torch.ones(half), torch.ones(half)])
    return weights | {
        f"encoder.{LAST}": sign[:, None] * weights[f"encoder.{LAST}"],
        "encoder.layers.4.bias": sign * weights["encoder.layers.4.bias"],
        f"decoder.{FIRST}": -weights[f"decoder.{FIRST}"],
    }


hidden.alternative("vae", "в двойна точност")(damage.in_double)
