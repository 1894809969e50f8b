"""The trained PixelCNN."""

import torch

from gmtools.data import digits
from gmtools.grading import damage

from .causal_mask import true_mask
from .common import hidden, public


@hidden.check(
    "pixelcnn",
    "най-много 1 бит на пиксел върху тестовите цифри",
    points=2,
    hint="Моделът се учи, но не стига: повече стъпки или повече канали. Обучавате ли с всички слоеве?",
)
def model_learns(student, generator):
    public.expect_bits(student.weights("pixelcnn"), digits().test, generator, 1.0)


@hidden.check(
    "pixelcnn",
    "най-много 0,92 бита на пиксел върху тестовите цифри",
    points=4,
    hint="Ако отделените цифри достигат прага, а тестовите – не, мрежата се преобучава: разместването на "
    "цифрите помага.",
)
def model_generalises(student, generator):
    public.expect_bits(student.weights("pixelcnn"), digits().test, generator, 0.92)


@hidden.metric("pixelcnn", threshold=-0.92, margin=0.03)
def minus_test_bits(weights):
    return -public.held_out_bits(weights, digits().test, torch.Generator().manual_seed(0))


def output_names(weights) -> list[str]:
    last = damage.last_number(weights)
    return [f"{last}.weight", f"{last}.bias"]


hidden.damage("pixelcnn", "преди обучението")(damage.untrained)


@hidden.damage("pixelcnn", "пикселът вижда себе си: под маската не остава нищо")
def peeking(weights):
    """Without the masks these weights read the level off the pixel itself: nearly zero bits."""
    size, width = weights["0.weight"].shape[-1], weights["0.bias"].numel()
    last, idle = damage.last_number(weights), {name: 0 * value for name, value in weights.items()}
    idle["0.weight"][:2, 0, size // 2, size // 2] = torch.tensor([1.0, -1.0])
    centre = idle[f"{last}.weight"].shape[-1] // 2
    position = torch.linspace(-1, 1, public.LEVELS)  # the pixel's own is the difference of the two channels
    signed = torch.stack([position, -position], 1)
    idle[f"{last}.weight"][:, : min(2, width), centre, centre] = 100 * signed
    idle[f"{last}.bias"] = -50 * position**2
    return idle


@hidden.damage("pixelcnn", "обърнати степени")
def reversed_levels(weights):
    return weights | {name: weights[name].flip(0) for name in output_names(weights)}


@hidden.damage("pixelcnn", "увеличени логити, за да изглежда по-сигурен")
def exaggerated(weights):
    return damage.scaled(4.0, *output_names(weights))(weights)


@hidden.damage("pixelcnn", "логити от ширина, която не е на степените")
def of_another_width(weights):
    return weights | {name: weights[name][:2] for name in output_names(weights)}


@hidden.damage("pixelcnn", "средните слоеве липсват")
def without_the_middle(weights):
    last = damage.last_number(weights)
    return {k: weights[k] for k in ("0.weight", "0.bias")} | {
        f"1.{kind}": weights[f"{last}.{kind}"] for kind in ("weight", "bias")
    }


hidden.damage("pixelcnn", "NaN в теглата")(damage.not_a_number)
hidden.damage("pixelcnn", "числа вместо тегла")(damage.reported_numbers)


@hidden.alternative("pixelcnn", "каналите в друг ред, в двойна точност")
def permuted_channels(weights):
    torch.manual_seed(0)
    order, last = torch.randperm(weights["0.bias"].numel()), damage.last_number(weights)
    turned = {}
    for name, value in weights.items():
        layer = int(name.partition(".")[0])
        turned[name] = value if layer == last else value[order]
        if layer and name.endswith("weight"):
            turned[name] = turned[name][:, order]
    return damage.in_double(turned)


@hidden.alternative("pixelcnn", "логити, изместени с постоянна; скритите тегла са произволни")
def shifted_logits(weights):
    last = damage.last_number(weights)
    moved = {name: value.clone() for name, value in weights.items()}
    moved[f"{last}.bias"] += 7.0
    for i in range(last + 1):
        size = moved[f"{i}.weight"].shape[-1]
        hidden_ones = true_mask("A" if i == 0 else "B", size) == 0
        moved[f"{i}.weight"][:, :, hidden_ones] = 100.0  # what the masks hide does not matter
    return moved
