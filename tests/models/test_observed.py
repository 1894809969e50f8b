"""Laws of the fully observed models: probabilities sum to one, samples follow them, parameters learn."""

import itertools
import math

import pytest
import torch
from torch import nn

from gmtools.models import (
    NADE,
    RBM,
    BernoulliMADE,
    BoltzmannMachine,
    GaussianMADE,
    ImplicitModel,
    NGram,
    PixelAutoregressive,
    TemperedChains,
    all_binary,
    contrastive_loss,
    ising,
)
from gmtools.nets import PixelCNN, PixelRNN


def pixel(net):
    return PixelAutoregressive(net, (1, 2, 3))


# Models of six binary variables.
BINARY = {
    "made": lambda: BernoulliMADE(6, (8,)),
    "made two layers, other order": lambda: BernoulliMADE(6, (8, 8), order=[3, 0, 5, 1, 4, 2]),
    "nade": lambda: NADE(6, 8),
    "pixelcnn": lambda: pixel(PixelCNN(hidden=4, layers=2)),
    "pixelrnn": lambda: pixel(PixelRNN(hidden=4, layers=1)),
    "boltzmann": lambda: BoltzmannMachine(6),
    "rbm, few hidden": lambda: RBM(6, 3),
    "rbm, many hidden": lambda: RBM(6, 9),
}


def perturbed(model):
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return model


def make(name):
    torch.manual_seed(0)
    return perturbed(BINARY[name]())


def states(name):
    x = all_binary(6).double()
    return x.reshape(64, 1, 2, 3) if name.startswith("pixel") else x


@pytest.mark.parametrize("name", BINARY)
def test_probabilities_sum_to_one(name):
    total = make(name).log_prob(states(name)).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("name", BINARY)
def test_samples_have_the_probabilities(name):
    model = make(name)
    torch.manual_seed(1)
    n = 2000
    x = model.sample(n)
    assert not x.requires_grad
    index = (x.flatten(1) @ 2.0 ** torch.arange(5, -1, -1, dtype=torch.float64)).long()
    counts = torch.bincount(index, minlength=64).double()
    p = model.log_prob(states(name)).exp().detach()
    # Pearson's statistic has mean 63 and the variance below, exactly; 6 sigma because its tail is heavy.
    statistic = ((counts - n * p) ** 2 / (n * p)).sum()
    variance = 2 * 63 + ((1 / p).sum() - 64**2 - 2 * 64 + 2) / n
    assert abs(statistic - 63) < 6 * variance.sqrt()


@pytest.mark.parametrize("name", BINARY)
def test_trains_compiles_and_round_trips(name, compile_whole):
    model, x = make(name), states(name)[::7]
    compiled = compile_whole(model.log_prob)
    torch.testing.assert_close(compiled(x), model.log_prob(x))
    model.log_prob(x).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    other = perturbed(make(name))
    assert not torch.allclose(other.log_prob(x), model.log_prob(x))
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.log_prob(x), model.log_prob(x))


@pytest.mark.parametrize("name", BINARY)
def test_bad_inputs(name):
    model = make(name)
    with pytest.raises(ValueError, match="has shape"):
        model.log_prob(torch.zeros(2, 99, dtype=torch.float64))
    with pytest.raises(ValueError, match="n is 0"):
        model.sample(0)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_states_may_be_truth_values_or_integers(name, dtype):
    model, x = make(name), states(name)
    torch.testing.assert_close(model.log_prob(x.to(dtype)), model.log_prob(x))


def test_chains_may_start_at_truth_values():
    for model in (make("boltzmann"), make("rbm, few hidden")):
        torch.manual_seed(2)
        x = model.gibbs(states("boltzmann"), 3)
        torch.manual_seed(2)
        torch.testing.assert_close(model.gibbs(states("boltzmann").bool(), 3), x)


def test_colour_images_with_several_levels_sum_to_one():
    torch.manual_seed(0)
    model = PixelAutoregressive(PixelCNN(channels=3, levels=3, hidden=6, layers=1), (3, 1, 2)).double()
    x = torch.tensor(list(itertools.product([0, 0.5, 1], repeat=6)), dtype=torch.float64).reshape(-1, 3, 1, 2)
    torch.testing.assert_close(model.log_prob(x).exp().sum(), torch.tensor(1.0, dtype=torch.float64))


def test_images_of_a_class_and_completion():
    torch.manual_seed(0)
    model = PixelAutoregressive(PixelCNN(levels=3, hidden=4, layers=1, d_context=2), (1, 3, 4))
    context = torch.eye(2)
    x = model.sample(2, context)
    done = model.complete(x, known=5, context=context)
    torch.testing.assert_close(done.flatten(1)[:, :5], x.flatten(1)[:, :5])
    assert model.log_prob(done, context).isfinite().all()
    with pytest.raises(ValueError, match="off the grid of 3 levels"):
        model.log_prob(x + 0.2, context)


def test_gaussian_made_integrates_to_one_and_samples_agree():
    torch.manual_seed(0)
    model = perturbed(GaussianMADE(2, components=3, hidden=(8,)))
    grid = torch.linspace(-15, 15, 601, dtype=torch.float64)
    points = torch.cartesian_prod(grid, grid)
    with torch.no_grad():
        density = model.log_prob(points).exp()
    cell = (grid[1] - grid[0]) ** 2
    torch.testing.assert_close(
        density.sum() * cell, torch.tensor(1.0, dtype=torch.float64), atol=1e-3, rtol=0
    )
    x = model.sample(20_000)
    for power in (1, 2):
        exact = (density[:, None] * points**power).sum(0) * cell
        error = 5 * (x**power).std(0) / 20_000**0.5
        assert ((x**power).mean(0) - exact).abs().le(error + 2e-3 * exact.abs()).all()


def test_ngram_is_counting():
    x = torch.tensor([[0, 1, 2, 0, 1, 1]])
    model = NGram(order=2, symbols=3, alpha=1.0).double().fit(x)
    unigram = (torch.tensor([2, 3, 1]) + 1 / 3) / 7
    torch.testing.assert_close(model.conditional(1)[0], unigram.double())
    after_one = (torch.tensor([0, 1, 1]) + unigram) / 3
    torch.testing.assert_close(model.conditional(2)[1], after_one.double())


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ngram_sums_to_one_and_samples_agree(order):
    torch.manual_seed(0)
    model = NGram(order, symbols=3, alpha=0.7).double().fit(torch.randint(3, (20, 10)) ** 2 % 3)
    every = torch.tensor(list(itertools.product(range(3), repeat=4)))
    p = model.log_prob(every).exp()
    torch.testing.assert_close(p.sum(), torch.tensor(1.0, dtype=torch.float64))
    x = model.sample(5000, length=4)
    frequency = torch.bincount(x @ torch.tensor([27, 9, 3, 1]), minlength=81) / 5000
    assert ((frequency - p).abs() <= 5 * (p * (1 - p) / 5000).sqrt() + 1e-3).all()
    other = NGram(order, symbols=3, alpha=0.7).double()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.log_prob(every), model.log_prob(every))


def test_ngram_refuses_what_it_cannot_count():
    with pytest.raises(ValueError, match="x has values outside 0, ..., 2"):
        NGram(2, 3).fit(torch.tensor([[0, 3]]))
    with pytest.raises(ValueError, match="integers"):
        NGram(2, 3).log_prob(torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"symbols \*\* order"):
        NGram(8, 40)
    with pytest.raises(ValueError, match="alpha"):
        NGram(2, 3, alpha=0.0)


def test_ising_is_the_sum_over_neighbouring_spins():
    model = ising(2, 3, coupling=0.4, field=0.1).double()
    x = all_binary(6).double()
    s = (2 * x - 1).reshape(-1, 2, 3)
    bonds = (s[:, 1:] * s[:, :-1]).sum((1, 2)) + (s[:, :, 1:] * s[:, :, :-1]).sum((1, 2))
    expected = (0.4 * bonds + 0.1 * s.sum((1, 2))).log_softmax(0)
    torch.testing.assert_close(model.log_prob(x), expected, atol=1e-6, rtol=0)  # parameters come in float32


def test_gibbs_sweeps_of_the_boltzmann_machine_leave_it_invariant():
    model = make("boltzmann")
    torch.manual_seed(2)
    x = model.gibbs(model.sample(20_000), sweeps=1)
    index = (x @ 2.0 ** torch.arange(5, -1, -1, dtype=torch.float64)).long()
    frequency = torch.bincount(index, minlength=64) / 20_000
    p = model.log_prob(all_binary(6).double()).exp()
    assert ((frequency - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt() + 2e-4).all()


def test_pseudolikelihood_has_the_conditionals_of_the_joint():
    model, x = make("boltzmann"), all_binary(6).double()
    total = 0.0
    for d in range(6):
        flipped = x.clone()
        flipped[:, d] = 1 - x[:, d]
        both = torch.stack((model.log_prob(x), model.log_prob(flipped)))
        total = total + both.log_softmax(0)[0]
    torch.testing.assert_close(model.pseudo_log_prob(x), total)


def test_large_boltzmann_machine_samples_by_gibbs():
    torch.manual_seed(0)
    assert ising(5, 5, 0.1).sample(3, sweeps=2).shape == (3, 25)
    with pytest.raises(ValueError, match="dim is 25"):
        ising(5, 5, 0.1).log_partition()


def test_free_energy_sums_the_hidden_variables_out():
    model = make("rbm, few hidden")
    v, h = all_binary(6).double(), all_binary(3).double()
    energy = model.energy(v[:, None].expand(-1, 8, -1), h.expand(64, 8, 3))
    torch.testing.assert_close(-model.free_energy(v), (-energy).logsumexp(1))


def test_contrastive_loss_has_the_gradient_of_the_likelihood_under_exact_samples():
    """With every state in proportion to its probability as negative sample, the gradient is exact."""
    model = make("rbm, few hidden")
    data = states("rbm")[[3, 9, 60]]
    exact = torch.autograd.grad(-model.log_prob(data).mean(), list(model.parameters()))
    p = model.log_prob(states("rbm")).exp().detach()
    loss = model.free_energy(data).mean() - (p * model.free_energy(states("rbm"))).sum()
    for a, b in zip(torch.autograd.grad(loss, list(model.parameters())), exact, strict=True):
        torch.testing.assert_close(a, b)
    torch.manual_seed(0)
    negative = states("rbm")[torch.multinomial(p, 50_000, replacement=True)]
    sampled = torch.autograd.grad(contrastive_loss(model, data, negative), list(model.parameters()))
    for a, b in zip(sampled, exact, strict=True):  # entries of the gradient lie in [0, 1] before averaging
        assert ((a - b).abs() < 5 * 0.5 / 50_000**0.5).all()


@pytest.mark.parametrize("betas", [[1.0], [1.0, 0.6, 0.2]])
def test_chains_leave_every_temperature_invariant(betas):
    model = make("rbm, few hidden")
    torch.manual_seed(3)
    n, v = 20_000, states("rbm")
    chains = TemperedChains(model, n, torch.tensor(betas))
    tempered = []
    for index, beta in enumerate(betas):
        scaled = RBM(6, 3).double()
        scaled.load_state_dict({key: beta * value for key, value in model.state_dict().items()})
        tempered.append(scaled.log_prob(v).exp().detach())
        chains.v[index] = v[torch.multinomial(tempered[-1], n, replacement=True)]
    for _ in range(3):
        chains.step()
    for p, x in zip(tempered, chains.v, strict=True):
        index = (x @ 2.0 ** torch.arange(5, -1, -1, dtype=torch.float64)).long()
        frequency = torch.bincount(index, minlength=64) / n
        assert ((frequency - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 2e-4).all()


def test_parallel_tempering_crosses_where_gibbs_is_stuck():
    rbm = RBM(8, 1).double()
    with torch.no_grad():  # two modes, all zeros and all ones, 24 nats apart
        rbm.weight.fill_(6.0)
        rbm.hidden_bias.fill_(-24.0)
        rbm.visible_bias.fill_(-3.0)
    torch.manual_seed(0)
    single, tempered = TemperedChains(rbm, 50), TemperedChains(rbm, 50, torch.linspace(1, 0, 12))
    single.v.zero_()
    tempered.v.zero_()
    for _ in range(60):
        stuck, free = single.step(), tempered.step()
    ones = lambda v: (v.mean(-1) > 0.5).double().mean().item()  # noqa: E731
    assert ones(stuck) < 0.1
    assert abs(ones(free) - 0.5) < 5 * 0.5 / 50**0.5


@pytest.mark.parametrize("method", ["cd", "pcd", "tempering"])
def test_rbm_learns(method):
    torch.manual_seed(0)
    x = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])[torch.arange(60) % 2]
    rbm = RBM(6, 4)
    chains = TemperedChains(rbm, 60, None if method != "tempering" else torch.tensor([1.0, 0.7, 0.4]))
    optimizer = torch.optim.SGD(rbm.parameters(), 0.2)
    for _ in range(300):
        negative = rbm.gibbs(x, 1) if method == "cd" else chains.step()
        optimizer.zero_grad()
        contrastive_loss(rbm, x, negative).backward()
        optimizer.step()
    assert rbm.log_prob(x).mean() > -2.5  # 4.16 at the start, 0.69 at best


def test_temperatures_and_steps_are_checked():
    with pytest.raises(ValueError, match="steps is 0"):
        RBM(4, 2).sample(3, steps=0)
    for betas in ([0.5, 0.1], [1.0, 1.0], [1.0, 0.2, 0.5]):
        with pytest.raises(ValueError, match="betas"):
            TemperedChains(RBM(2, 2), 3, torch.tensor(betas))


def test_implicit_model_passes_gradients_and_takes_any_noise():
    class Uniform(nn.Module):
        def forward(self, context=None):
            return torch.distributions.Independent(torch.distributions.Uniform(torch.zeros(2), 1.0), 1)

    torch.manual_seed(0)
    model = ImplicitModel(nn.Linear(2, 3), Uniform())
    x = model.rsample(20_000)
    expected = model(torch.full((2,), 0.5))
    assert ((x.mean(0) - expected).abs() < 5 * x.std(0) / math.sqrt(20_000)).all()
    x.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    with pytest.raises(ValueError, match="n is 0"):
        model.sample(0)
