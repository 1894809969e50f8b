"""Lab 5: what its checks compare with is right, weights that peek earn nothing, and the numbers in its prose
are those of the models."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gmtools.data import digits
from gmtools.evaluation import bits_per_dim
from gmtools.grading import Failed
from gmtools.grading.lab import WrongForm, load_module
from gmtools.models import PixelAutoregressive

ROOT = Path(__file__).parents[2]
PROSE = (ROOT / "labs/5-autoregressive/lab.md").read_text(encoding="utf-8")
public = load_module(ROOT / "labs/5-autoregressive/checks.py")
hidden = load_module(ROOT / "solutions/5-autoregressive/hidden")
solution = load_module(ROOT / "solutions/5-autoregressive/solution.py")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def reference():
    return load_file(ROOT / "solutions/5-autoregressive/pixelcnn.safetensors")


def pairs(weights):
    return [
        (weights[f"{i}.weight"].double(), weights[f"{i}.bias"].double()) for i in range(len(weights) // 2)
    ]


def jacobian(net, x):
    """Slope of every pixel's logits, summed in absolute value, by every pixel: (H W, H W)."""
    found = torch.autograd.functional.jacobian(lambda x: net(x[None])[0], x)
    pixels = x.numel()
    return found.reshape(-1, pixels, pixels).abs().sum(0)


@pytest.mark.parametrize(
    "net_of", [solution.pixel_logits, hidden.pixel_logits.true_logits], ids=["student", "hidden"]
)
def test_no_path_from_the_future_by_autograd(net_of, generator):
    layers = public.random_layers(generator, 4, dtype=torch.float64)
    slope = jacobian(lambda x: net_of(x, layers), torch.rand(1, 4, 5, generator=generator).double())
    assert (slope.tril(-1) > 0).any()
    assert torch.equal(slope, slope.tril(-1))


def test_the_graders_network_has_no_path_from_the_future_whatever_the_weights(reference, generator):
    slope = jacobian(public.rebuilt(reference), 3 * torch.rand(1, 8, 8, generator=generator).double())
    assert torch.equal(slope, slope.tril(-1))


def test_the_grader_rebuilds_the_network_that_students_write(reference, generator):
    x = public.images(digits().validation, generator)[:20]
    assert torch.allclose(public.rebuilt(reference)(x), solution.pixel_logits(x, pairs(reference)))


@pytest.mark.parametrize("levels, height, width", [(2, 2, 3), (3, 2, 2), (4, 1, 3)])
def test_the_true_likelihood_is_a_distribution(levels, height, width, generator):
    x = public.every_image(height, width, levels).double()
    log_p = public.true_log_prob(x, public.small_net(generator, levels, dtype=torch.float64))
    assert log_p.exp().sum().item() == pytest.approx(1)


def test_the_true_likelihood_and_the_bits_are_those_of_the_library(generator):
    net = public.small_net(generator, 4)

    class Library(torch.nn.Module):
        levels = 4

        def forward(self, x, context=None):
            return net(3 * x).unsqueeze(2)

    x = torch.randint(0, 4, (6, 1, 3, 3), generator=generator).float()
    log_p = public.true_log_prob(x, net)
    assert torch.allclose(PixelAutoregressive(Library(), (1, 3, 3)).log_prob(x / 3), log_p)
    for levels in (None, 17):
        found = solution.bits_per_dim(log_p, 9, levels).mean().item()
        assert found == pytest.approx(bits_per_dim(log_p, 9, levels).value, rel=1e-5)


def test_weights_that_read_the_pixel_itself_are_nearly_free_without_masks_and_worthless_with_them(
    reference, generator, monkeypatch
):
    weights = hidden.pixelcnn.peeking(reference)
    x = public.images(digits().test, generator)
    assert public.held_out_bits(weights, digits().test, generator) > 2
    monkeypatch.setattr(solution, "causal_mask", lambda kind, size: torch.ones(size, size))
    log_p = solution.log_prob(x, lambda x: solution.pixel_logits(x, pairs(weights)))
    assert solution.bits_per_dim(log_p, 64).mean() < 0.01


def without(weights, name):
    return {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda w: {},
        lambda w: without(w, "1.bias"),
        lambda w: w | {"0.weight": w["0.weight"][..., :6]},
        lambda w: w | {"0.weight": w["0.weight"][..., :6, :6]},
        lambda w: w | {"1.weight": w["1.weight"][:, :5]},
        lambda w: w | {"0.weight": w["0.weight"].flatten(1)},
        lambda w: w | {"0.bias": w["0.bias"] * math.nan},
        lambda w: w | {"1.weight": torch.zeros(24, 24, 151, 151)},
    ],
    ids=["nothing", "no bias", "not square", "even", "narrow", "flat", "NaN", "too large"],
)
def test_what_is_no_pixelcnn_is_refused_in_words(spoil, reference, generator):
    with pytest.raises((Failed, WrongForm), match="[а-я]{3}"):
        public.held_out_bits(spoil(reference), digits().test, generator)


def test_held_out_images_are_drawn_anew_and_leave_the_callers_randomness_alone(generator):
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    one, two = (public.images(digits().test, generator) for _ in range(2))
    assert torch.equal(torch.rand(1), before)
    assert one.shape == (500, 1, 8, 8) and set(one.unique().tolist()) == {0, 1, 2, 3}
    assert (one != two).flatten(1).any(1).float().mean() > 0.99


def test_codes_of_all_messages_are_prefix_free_short_and_decoded(generator):
    _, freq = public.random_message(generator, 4, 3)
    messages = [torch.tensor(m) for m in itertools.product(range(3), repeat=4)]
    codes = [solution.encode(message, freq) for message in messages]
    assert sum(2.0 ** -len(code) for code in codes) <= 1  # Kraft
    for message, code in zip(messages, codes, strict=True):
        assert code == hidden.decode.true_code(message, freq)
        assert len(code) < public.ideal_length(message, freq) + 2
        assert torch.equal(solution.decode(code, lambda past: freq[len(past)], 4), message)


def test_words_of_dyadic_frequencies_are_the_shortest_codes(generator):
    symbols = torch.randint(0, 3, (20,), generator=generator)
    rows = public.dyadic_rows(symbols.tolist())
    assert hidden.decode.true_code(symbols, torch.stack(rows)) == public.dyadic_code(symbols.tolist(), rows)


def test_images_survive_compression_with_the_reference_model(reference, generator):
    """Every image comes back, and its code is within two bits of −log2 p of the model itself."""
    net = public.rebuilt(reference)

    def next_pixel(past):
        x = torch.zeros(64, dtype=torch.float64)
        x[: len(past)] = past.double()
        return solution.frequencies(net(x.reshape(1, 1, 8, 8)).flatten(2)[0, :, len(past)].detach())

    for image in public.images(digits().test, generator)[:3]:
        pixels = image.flatten().long()
        code = solution.encode(pixels, torch.stack([next_pixel(pixels[:i]) for i in range(64)]))
        assert torch.equal(solution.decode(code, next_pixel, 64), pixels)
        ideal = -public.true_log_prob(image[None], net).item() / math.log(2)
        assert ideal - 0.1 < len(code) < ideal + 2.1  # frequencies of 16 bits cost under a tenth of a bit


def test_thresholds_and_baselines_in_the_prose_are_those_of_the_checks(generator):
    (metric,) = hidden.hidden.metrics
    assert f"**{public.bulgarian(-metric.threshold, 2)}** бита на пиксел" in PROSE
    train, test = (public.images(part, generator, 8) for part in (digits().train, digits().test))
    often = torch.stack([(train == level).double().mean(0)[0] for level in range(4)]).clamp(min=1e-4)
    log_p = public.true_log_prob(test, lambda x: often.log().expand(len(x), -1, -1, -1))
    assert public.bulgarian(solution.bits_per_dim(log_p, 64).mean().item(), 2) == "1,25"
    assert "независимите пиксели струват 1,25" in PROSE


def test_the_blind_spot_is_there_however_deep_the_network():
    """To the right one layer goes no further than its kernel reaches, and only by going up."""
    for depth in (4, 12):
        layers = [(torch.ones(2, 1 if i == 0 else 2, 3, 3), 20 * torch.ones(2)) for i in range(depth)]
        x = torch.ones(1, 1, 13, 13, requires_grad=True)
        seen = torch.autograd.grad(solution.pixel_logits(x, layers)[0, 0, 9, 6], x)[0][0, 0] != 0
        rows, columns = torch.meshgrid(torch.arange(13), torch.arange(13), indexing="ij")
        blind = (rows < 9) & (columns - 6 > 9 - rows)
        assert not seen[blind].any()
        assert seen[(rows == 8) & (columns == 7)].all()
