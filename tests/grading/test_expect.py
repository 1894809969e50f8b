"""Verdicts on several tensors, on work that grows with the data, and what damages leave of weights."""

import pytest
import torch

from gmtools.grading import Failed, damage, expect_close, expect_vectorised
from gmtools.grading.inputs import DOUBLE, bits, normal, random_linear, random_weights
from gmtools.grading.lab import WrongForm
from gmtools.grading.notebook import NamespaceStudent

WEIGHTS = {"1.weight": torch.ones(2, 3), "1.bias": torch.ones(2), "0.weight": torch.ones(3, 1)}


def test_several_tensors_are_compared_one_by_one():
    one, two = torch.zeros(3), torch.ones(3, 2)
    expect_close((one, two), (one, two), "")
    with pytest.raises(Failed, match="друго"):
        expect_close((one, two), (one, 2 * two), "друго")
    with pytest.raises(WrongForm, match="2 тензора"):
        expect_close(one, (one, two), "друго")
    expect_close((one, two), (one, 1.01 * two), "друго", rtol=0.1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: 2 * x, "друга"),
        (lambda x: torch.stack([row.exp() for row in x]), "цикъл"),
        (lambda x: x.exp_(), "на място"),
    ],
)
def test_an_answer_that_is_wrong_loops_or_changes_its_argument(answer, words):
    small, large = (torch.rand(2, 3),), (torch.rand(40, 3),)
    expect_vectorised(NamespaceStudent({"f": torch.exp}), "f", torch.exp, small, large, "x")
    with pytest.raises(Failed, match=words):
        expect_vectorised(NamespaceStudent({"f": answer}), "f", torch.exp, small, large, "x")


def test_inputs_are_those_of_the_generator():
    def generator():
        return torch.Generator().manual_seed(1)

    assert torch.equal(
        normal(generator(), 4, 2, **DOUBLE), torch.randn(4, 2, generator=generator(), **DOUBLE)
    )
    assert normal(generator()).shape == ()
    assert torch.equal(bits(generator(), 9), torch.randint(0, 2, (9,), generator=generator()).float())
    assert bits(generator(), 9, **DOUBLE).dtype == torch.float64


def test_damages_keep_names_and_shapes_and_leave_the_reference_alone():
    for change in (damage.untrained, damage.scaled(2.0), damage.not_a_number, damage.trained_only("1")):
        found = change(WEIGHTS)
        assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in WEIGHTS.items()}
        assert not all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)
    assert all(bool((value == 1).all()) for value in WEIGHTS.values())
    assert torch.equal(damage.trained_only("1")(WEIGHTS)["1.weight"], WEIGHTS["1.weight"])
    reordered = dict(reversed(WEIGHTS.items()))
    first, second = damage.untrained(WEIGHTS), damage.untrained(reordered)
    assert all(torch.equal(first[name], second[name]) for name in WEIGHTS)


def test_random_weights_are_drawn_in_order_and_scaled():
    layer = random_weights(torch.nn.Linear(3, 2).double(), torch.Generator().manual_seed(2), 0.5)
    generator = torch.Generator().manual_seed(2)
    for parameter in (layer.weight, layer.bias):
        assert torch.equal(parameter, 0.5 * torch.randn(parameter.shape, generator=generator, **DOUBLE))
        assert parameter.requires_grad
    network = random_linear(torch.Generator().manual_seed(2), 3, 2, 0.5, **DOUBLE)
    assert torch.equal(network[0].weight, layer.weight)
