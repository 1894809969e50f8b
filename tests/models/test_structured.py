"""Laws of the structured models: DRAW, sequences, scenes, labels; exact where a sum or an integral can be
done."""

import itertools
import math

import pytest
import torch

from gmtools.inference import elbo, iwae
from gmtools.models import (
    AIR,
    DRAW,
    GaussianHead,
    SequenceVAE,
    all_binary,
    crop,
    filter_bank,
    paste,
    read_window,
    semi_supervised_vae,
    write_window,
)
from gmtools.nets import MLP

MODELS = {
    "draw": lambda: DRAW((4, 5), d_z=2, steps=2, hidden=6, points=3),
    "draw, dependent prior": lambda: DRAW((4, 5), 2, 2, hidden=6, points=3, dependent_prior=True),
    "sequence": lambda: SequenceVAE(3, 2, hidden=6),
    "sequence, smoothing, gaussian": lambda: SequenceVAE(
        3, 2, 6, GaussianHead(MLP(8, 6, (6,))), smoothing=True
    ),
    "air": lambda: AIR((6, 7), objects=2, d_what=2, glimpse=(3, 3), hidden=6),
    "semi-supervised": lambda: semi_supervised_vae(5, 2, 3, hidden=(6,)),
}


def perturbed(model, size=0.2):
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += size * torch.randn_like(parameter)
    return model


def widened(model, head):
    """The model with a proposal wider than the prior, so that its weights have a finite variance."""
    last = [m for m in model.get_submodule(head).modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias[len(last.bias) // 2 :] = 1.0
    return model


def make(name):
    torch.manual_seed(0)
    return perturbed(MODELS[name]())


def draw(name, model, n):
    return model.sample(n, length=3) if name.startswith("sequence") else model.sample(n)


def step_of(name, model):
    if name == "semi-supervised":
        y = torch.tensor([0, 2, -1, -1, 1, -1])
        return lambda x: -model.objective(x, y).mean()
    return lambda x: -elbo(model.log_weights(x, 2)).mean()


@pytest.mark.parametrize("name", MODELS)
def test_shapes_compilation_gradients_and_round_trip(name, compile_whole):
    model = make(name)
    x = draw(name, model, 6)
    assert x.shape[0] == 6 and not x.requires_grad
    assert model.log_weights(x, 3).shape == (3, 6)
    step = step_of(name, model)
    torch.manual_seed(1)
    expected = step(x)
    torch.manual_seed(1)
    torch.testing.assert_close(compile_whole(step)(x), expected)
    expected.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    other = perturbed(make(name), 1.0)
    other.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    torch.testing.assert_close(step_of(name, other)(x), expected)


@pytest.mark.parametrize("name", MODELS)
def test_bad_inputs(name):
    model = make(name)
    with pytest.raises(ValueError, match="K is 0"):
        model.log_weights(draw(name, model, 2), 0)
    with pytest.raises(ValueError, match="n is 0"):
        draw(name, model, 0)
    with pytest.raises(ValueError, match="shape"):
        model.log_weights(torch.zeros(2, 99, dtype=torch.float64), 1)


UNROLLED = [name for name in MODELS if name.startswith(("draw", "sequence"))]


@pytest.mark.parametrize("name", UNROLLED)
def test_scoring_the_drawn_latents_gives_the_weights_back(name):
    model = make(name)
    x = draw(name, model, 3)
    torch.manual_seed(2)
    z, log_q = model.propose(x, 4)
    assert z.shape[:2] == (4, 3) and log_q.shape == (4, 3)
    torch.manual_seed(2)
    torch.testing.assert_close(model.log_weights(x, 4), model.log_joint(x, z) - log_q)


TINY = {
    "draw": (lambda: DRAW((1, 3), 1, 2, hidden=4, points=2), (1, 1, 3)),
    "draw, dependent prior": (
        lambda: DRAW((1, 3), 1, 2, hidden=4, points=2, dependent_prior=True),
        (1, 1, 3),
    ),
    "sequence": (lambda: SequenceVAE(2, 1, hidden=4), (2, 2)),
    "sequence, smoothing": (lambda: SequenceVAE(2, 1, hidden=4, smoothing=True), (2, 2)),
}


@pytest.mark.parametrize("name", TINY)
def test_joint_integrates_to_one_and_weights_average_to_the_evidence(name):
    """Two one-dimensional latents: the evidence of every binary x by quadrature on a grid."""
    torch.manual_seed(0)
    model = widened(perturbed(TINY[name][0](), 0.3), "posterior")
    x = all_binary(math.prod(TINY[name][1])).double().unflatten(1, TINY[name][1])
    n = x.shape[0]
    grid = torch.linspace(-8, 8, 81, dtype=torch.float64)
    z = torch.cartesian_prod(grid, grid)[:, None, :, None].expand(-1, n, -1, -1)
    torch.manual_seed(5)
    with torch.no_grad():
        exact = model.log_joint(x, z).logsumexp(0) + 2 * torch.log(grid[1] - grid[0])
        total = exact.exp().sum()
        torch.testing.assert_close(total, torch.ones_like(total), atol=1e-5, rtol=0)
        log_w = model.log_weights(x, 4000)
        ratio = (log_w - exact).exp()
        assert ((ratio.mean(0) - 1).abs() < 5 * ratio.std(0) / 4000**0.5).all()
        assert (elbo(log_w) < exact).all() and (elbo(log_w) < iwae(log_w)).all()
        sample = model.sample(4000, length=2) if name.startswith("sequence") else model.sample(4000)
        same = (sample[:, None] == x).flatten(2).all(-1)
        p = exact.exp()
        assert ((same.double().mean(0) - p).abs() < 5 * (p * (1 - p) / 4000).sqrt()).all()


def test_filtering_proposal_sees_no_future_and_smoothing_does():
    for smoothing in (False, True):
        torch.manual_seed(0)
        model = SequenceVAE(2, 1, hidden=4, smoothing=smoothing).double()
        x = torch.zeros(1, 4, 2, dtype=torch.float64)
        changed = x.clone()
        changed[:, 3] = 1.0
        draws = []
        for data in (x, changed):
            torch.manual_seed(1)
            draws.append(model.propose(data, 1)[0][0, 0, :3])
        assert torch.equal(*draws) is not smoothing


def test_forecast_continues_what_was_seen():
    torch.manual_seed(0)
    model = SequenceVAE(2, 1, hidden=4)
    x = model.sample(3, length=5)
    assert model.forecast(x, length=4).shape == (3, 4, 2)
    with pytest.raises(ValueError, match="length"):
        model.forecast(x, length=0)


def random_bank(size):
    uniform = torch.rand(3, 4, dtype=torch.float64)
    return filter_bank(4 * uniform[0], 0.5 + uniform[1], 0.3 + uniform[2], points=3, size=size)


def test_writing_is_the_adjoint_of_reading():
    torch.manual_seed(0)
    rows, columns = random_bank(6), random_bank(5)
    image, window = torch.randn(4, 6, 5).double(), torch.randn(4, 3, 3).double()
    left = (read_window(image, rows, columns) * window).sum((1, 2))
    right = (image * write_window(window, rows, columns)).sum((1, 2))
    torch.testing.assert_close(left, right)


def test_filters_follow_the_formula_and_sum_to_one():
    g, delta, variance = torch.tensor([[2.2], [0.8], [0.5]], dtype=torch.float64)
    bank = filter_bank(g, delta, variance, points=4, size=6)
    torch.testing.assert_close(bank.sum(-1), torch.ones(1, 4, dtype=torch.float64))
    pixel = torch.arange(6, dtype=torch.float64)
    for i in range(4):
        f = torch.exp(-((pixel - 2.2 - (i - 1.5) * 0.8) ** 2) / (2 * 0.5))
        torch.testing.assert_close(bank[0, i], f / f.sum())
    far = filter_bank(g + 1e4, delta, variance * 1e-3, points=2, size=6)
    assert far.isfinite().all()


def test_crop_undoes_paste():
    """A smooth picture pasted and cut out again at the same place comes back, up to interpolation."""
    axis = torch.linspace(-1, 1, 8, dtype=torch.float64)
    picture = torch.exp(-2 * (axis[:, None] ** 2 + axis**2))[None, None]
    where = torch.tensor([[0.5, 0.2, -0.3]], dtype=torch.float64)
    image = paste(picture, where, (64, 64))
    back = crop(image, where, (8, 8))
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(back[inner], picture[inner], atol=0.02, rtol=0)
    # The mass scales with the area, and the centre of mass is the shift (x to the right, y down).
    pixels = (torch.arange(64, dtype=torch.float64) + 0.5) / 32 - 1
    weight = image[0, 0] / image.sum()
    assert abs((weight.sum(0) * pixels).sum() - 0.2) < 0.01
    assert abs((weight.sum(1) * pixels).sum() + 0.3) < 0.01
    assert abs(image.sum() * (2 / 64) ** 2 - 0.25 * picture.sum() * (2 / 8) ** 2) < 0.01


def test_air_prior_over_counts_normalises():
    model = AIR((4, 4), objects=3, d_what=1, ratio=0.5)
    expected = torch.tensor([1, 0.5, 0.25, 0.125])
    torch.testing.assert_close(model.count_prior().probs, expected / expected.sum())


def test_air_weights_average_to_the_evidence():
    """Against simple Monte Carlo from the prior, which needs no proposal: both within their standard
    errors."""
    torch.manual_seed(0)
    model = perturbed(AIR((3, 3), objects=2, d_what=1, glimpse=(2, 2), hidden=6, ratio=0.7, noise=0.5))
    widened(widened(model, "where_posterior"), "what_posterior")
    x = model.sample(3)
    K = 20_000
    with torch.no_grad():
        prior = torch.zeros(K, 3, dtype=torch.float64)
        counts = model.count_prior().sample((K,))
        canvas = torch.zeros(K, 1, 3, 3, dtype=torch.float64)
        for i in range(2):
            drawn = model.draw_object(torch.randn(K, 3).double(), torch.randn(K, 1).double())
            canvas = canvas + drawn * (counts > i)[:, None, None, None]
        prior = torch.distributions.Normal(canvas[:, None], 0.5).log_prob(x).sum((-1, -2, -3)).exp()
        weights = model.log_weights(x, K).exp()
    error = (prior.var(0) / K + weights.var(0) / K).sqrt()
    assert ((prior.mean(0) - weights.mean(0)).abs() < 5 * error).all()
    assert (error / prior.mean(0) < 0.05).all()


def test_air_count_bound_lies_above_that_of_any_drawn_count():
    model = make("air")
    x = model.sample(4)
    terms = model.log_weights_of_counts(x, 50)
    summed = terms.logsumexp(1)
    for q in (torch.full((3,), 1 / 3).double(), torch.tensor([0.1, 0.2, 0.7]).double()):
        drawn = (q[:, None] * (terms - q.log()[:, None])).sum(1)
        assert (drawn <= summed + 1e-12).all()


def test_air_reads_scenes():
    model = make("air")
    counts, places = model.infer(model.sample(5))
    assert counts.shape == (5,) and places.shape == (5, 2, 3)
    assert (places[..., 0] > 0.2).all() and (places[..., 0] < 0.9).all() and (places[..., 1:].abs() < 1).all()


def test_semi_supervised_evidence_by_quadrature():
    torch.manual_seed(0)
    model = widened(perturbed(semi_supervised_vae(3, 1, 2, hidden=(5,)), 0.3), "encoder")
    x = all_binary(3).double()
    grid = torch.linspace(-8, 8, 2001, dtype=torch.float64)
    log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(grid) + torch.log(grid[1] - grid[0])
    with torch.no_grad():
        joint = []
        for y in range(2):
            likelihood = model.decode(torch.full((2001,), y), grid[:, None])
            log_likelihood = torch.stack([likelihood.log_prob(row) for row in x], 1)
            joint.append((log_likelihood + log_prior[:, None]).logsumexp(0) - math.log(2))
        by_label = torch.stack(joint)  # log p(x, y), (2, 8)
        exact = by_label.logsumexp(0)
        torch.testing.assert_close(exact.exp().sum(), torch.tensor(1.0, dtype=torch.float64))
        log_w = model.log_weights_of_labels(x, 20_000)
        ratio = (log_w - by_label).exp()
        assert ((ratio.mean(0) - 1).abs() < 5 * ratio.std(0) / 20_000**0.5).all()
        summed = (model.log_weights(x, 20_000) - exact).exp()
        assert ((summed.mean(0) - 1).abs() < 5 * summed.std(0) / 20_000**0.5).all()
        y = torch.tensor([0, 1] * 4)
        assert (model.bound(x, K=2000) < exact).all()
        assert (model.bound(x, y, K=2000) < by_label.T.gather(1, y[:, None])[:, 0]).all()


def test_semi_supervised_bound_is_tight_with_the_optimal_label_posterior():
    """U(x) = log sum_y exp L(x, y) - KL(q(y|x) || softmax L): checked as an identity on the same draws."""
    model = make("semi-supervised")
    x = model.sample(5)
    torch.manual_seed(3)
    unlabelled = model.bound(x)
    torch.manual_seed(3)
    of_label = model.log_weights_of_labels(x).mean(0).T
    q = model.classify(x)
    best = torch.distributions.Categorical(logits=of_label)
    gap = torch.distributions.kl_divergence(q, best)
    torch.testing.assert_close(unlabelled, of_label.logsumexp(1) - gap)


def test_semi_supervised_labels_are_checked_and_given():
    model = make("semi-supervised")
    x = model.sample(4, torch.tensor([0, 1, 2, 0]))
    assert x.shape == (4, 5)
    with pytest.raises(ValueError, match="y has values outside"):
        model.bound(x, torch.tensor([0, 1, 3, 0]))
    with pytest.raises(ValueError, match="y has shape"):
        model.bound(x, torch.tensor([0, 1]))
    for method in (model.bound, model.objective):
        with pytest.raises(ValueError, match="y is of torch.float32"):
            method(x, torch.tensor([0.0, 1.0, 2.0, 0.0]))
        assert method(x, torch.tensor([0, 1, -1, 0], dtype=torch.int32)).isfinite().all()


def learn(model, objective, steps=80, lr=0.02):
    """Mean objective of the first and of the last ten steps."""
    optimizer = torch.optim.Adam(model.parameters(), lr)
    trace = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = objective().mean()
        (-value).backward()
        optimizer.step()
        trace.append(value.item())
    return sum(trace[:5]) / 5, sum(trace[-10:]) / 10


def test_draw_learns():
    torch.manual_seed(0)
    bars = torch.zeros(8, 1, 6, 6)
    for i in range(6):
        bars[i, 0, i] = 1
    model = DRAW((6, 6), 4, 4, hidden=24, points=3)
    before, after = learn(model, lambda: elbo(model.log_weights(bars)))
    assert after > before + 5


def test_sequence_model_learns():
    torch.manual_seed(0)
    phase = torch.arange(16)[:, None]
    x = (((torch.arange(8) + phase) % 4) < 2).float()[..., None]
    model = SequenceVAE(1, 2, hidden=12)
    before, after = learn(model, lambda: elbo(model.log_weights(x)))
    assert after > before + 2


def test_air_learns():
    torch.manual_seed(0)
    x = torch.zeros(9, 1, 8, 8)
    for index, (row, column) in enumerate(itertools.product((0, 2, 4), (0, 2, 4))):
        x[index, 0, row : row + 3, column : column + 3] = 1
    model = AIR((8, 8), objects=2, d_what=2, glimpse=(4, 4), hidden=24)
    before, after = learn(model, lambda: elbo(model.log_weights(x)), steps=150)
    assert after > before + 12
    assert (model.count_posterior(x, 20).probs.argmax(1) == 1).all()  # one square in every scene


def test_semi_supervised_learns_from_few_labels():
    torch.manual_seed(0)
    prototypes = torch.tensor([[1.0] * 10 + [0.0] * 10, [0.0] * 10 + [1.0] * 10])
    truth = torch.arange(60) % 2
    x = torch.bernoulli(prototypes[truth] * 0.8 + 0.1)
    y = torch.full((60,), -1)
    y[:4] = truth[:4]
    model = semi_supervised_vae(20, 2, 2, hidden=(16,))
    before, after = learn(model, lambda: model.objective(x, y, alpha=5.0))
    assert after > before + 2
    assert (model.classify(x).probs.argmax(1) == truth).double().mean() > 0.9
