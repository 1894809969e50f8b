"""The trained flow over two moons."""

import torch

from gmtools.data import TwoMoons
from gmtools.grading import damage, expect
from gmtools.training import seeded

from .common import hidden, public


@hidden.check(
    "moons",
    "същият праг, върху други точки: NLL най-много 1,35",
    points=3,
    hint="Потокът се обучава с много точки; ако прагът се достига само понякога, обучението е спряло рано.",
)
def moons_generalises(student, generator):
    public.expect_nll(student.weights("moons"), generator, 1.35)


@hidden.check(
    "moons",
    "плътността е над дъгите, а не между тях",
    points=3,
    hint="Начертайте плътността: двата полумесеца личат по цялата си дължина.",
)
def moons_cover_both(student, generator):
    """Few points may be scored far worse than by the truth: a missing piece of a moon costs many nats."""
    flow = public.rebuilt_flow(student.weights("moons"))
    with seeded(int(torch.randint(2**31, (1,), generator=generator))):
        x = TwoMoons().sample((5000,)).double()
    missed = (TwoMoons().log_prob(x) - flow.log_prob(x) > 3).double().mean().item()
    expect(missed < 0.01, "")


@hidden.metric("moons", threshold=-1.35, margin=0.05)
def moons_likelihood(weights):
    return -public.held_out_nll(public.rebuilt_flow(weights), torch.Generator().manual_seed(0))


hidden.damage("moons", "преди обучението")(damage.untrained)
hidden.damage("moons", "потокът не прави нищо")(damage.scaled(0.0))


@hidden.damage("moons", "слоевете в обратен ред")
def layers_reversed(weights):
    last, parts = damage.last_number(weights), {name: name.partition(".") for name in weights}
    return {f"{last - int(k)}.{rest}": weights[name] for name, (k, _, rest) in parts.items()}


@hidden.damage("moons", "последният слой липсва")
def without_a_layer(weights):
    last = damage.last_number(weights)
    return {name: value for name, value in weights.items() if not name.startswith(f"{last}.")}


hidden.damage("moons", "NaN в теглата")(damage.not_a_number)


@hidden.damage("moons", "друга мрежа")
def of_another_form(weights):
    return {"0.weight": torch.randn(2, 1)}


hidden.alternative("moons", "в двойна точност")(damage.in_double)


@hidden.alternative("moons", "с два слоя в повече, които само обръщат реда")
def with_idle_layers(weights):
    last = damage.last_number(weights)
    idle = {name: 0 * value for name, value in weights.items() if name.startswith("0.")}
    return weights | {f"{last + k}.{name[2:]}": value for name, value in idle.items() for k in (1, 2)}
