"""Lab 3: what its checks compare with is right, and the numbers in its prose are those of the models."""

import math
from pathlib import Path

import pytest
import torch
from torch.func import jacrev, vmap

from gmtools.data import TwoMoons
from gmtools.grading import Failed, expect_no_loop, expect_tensors
from gmtools.grading.lab import WrongForm, load_module
from gmtools.grading.notebook import NamespaceStudent
from gmtools.nets import MLP

ROOT = Path(__file__).parents[2]
PROSE = (ROOT / "labs/3-flows/lab.md").read_text(encoding="utf-8")
public = load_module(ROOT / "labs/3-flows/checks.py")
hidden = load_module(ROOT / "solutions/3-flows/hidden")
solution = load_module(ROOT / "solutions/3-flows/solution.py")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_the_true_coupling_has_the_log_determinant_of_autograd(generator):
    net = public.random_net(generator, 4)
    z = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    jacobian = vmap(jacrev(lambda point: hidden.coupling.true_coupling(point, net)[0]))(z)
    assert torch.allclose(hidden.coupling.true_coupling(z, net)[1], torch.linalg.slogdet(jacobian).logabsdet)


def test_the_numerical_log_determinant_agrees_with_autograd(generator):
    net = public.random_net(generator, 4)
    z = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    found = public.numerical_log_det(lambda points: hidden.coupling.true_coupling(points, net)[0], z)
    assert torch.allclose(found, hidden.coupling.true_coupling(z, net)[1], atol=1e-8)


def test_the_grader_rebuilds_the_flow_that_students_write(generator):
    torch.manual_seed(0)
    nets = torch.nn.ModuleList(MLP(1, 2, (8, 8)) for _ in range(3)).double()
    x = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    rebuilt = public.rebuilt_flow(nets.state_dict())
    assert torch.allclose(rebuilt.log_prob(x), solution.flow_log_prob(x, nets))


def test_the_graders_elbo_is_that_of_students(generator):
    w, u = torch.randn(2, 5, 2, generator=generator, dtype=torch.float64)
    b = torch.randn(5, generator=generator, dtype=torch.float64)
    z = torch.randn(10_000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = torch.tensor([public.OBSERVED], dtype=torch.float64)
    expected = solution.planar_elbo(x, z, w, u, b, public.parabola, public.NOISE)
    handed_in = {"w": w, "u": solution.planar_constraint(w, u), "b": b}
    assert public.held_out_elbo(handed_in, torch.Generator().manual_seed(1)) == pytest.approx(expected.item())


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"w": torch.ones(2, 2), "u": torch.ones(2, 2)},
        {"w": torch.ones(2, 3), "u": torch.ones(2, 3), "b": torch.ones(2)},
        {"w": torch.ones(2, 2), "u": -torch.ones(2, 2), "b": torch.ones(2)},
        {"w": torch.ones(2, 2), "u": torch.ones(2, 2), "b": torch.full((2,), torch.nan)},
    ],
)
def test_what_is_no_flow_is_refused_in_words(weights, generator):
    with pytest.raises(Failed, match="[а-я]{3}"):
        public.held_out_elbo(weights, generator)


def test_a_density_with_a_hole_in_its_integral_is_refused():
    class Half:
        def log_prob(self, x):
            return public.log_normal(x) - math.log(2)

    with pytest.raises(Failed, match="0,500"):
        public.expect_density(Half())


def test_the_thresholds_in_the_prose_are_those_of_the_checks():
    found = {metric.exercise: metric.threshold for metric in hidden.hidden.metrics}
    assert f"**{public.bulgarian(-found['moons'], 2)}** ната" in PROSE
    assert f"**{public.bulgarian(found['posterior'], 2)}**" in PROSE


def test_the_best_mean_field_is_as_stated():
    """Under independent normals E log p(x, z) is a polynomial in their means and variances."""
    mu = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    log_sigma = torch.tensor([-1.0, -1.0], dtype=torch.float64, requires_grad=True)

    def elbo():
        m, v = mu, torch.exp(2 * log_sigma)
        square = m[0] ** 2 + v[0]
        fourth = m[0] ** 4 + 6 * m[0] ** 2 * v[0] + 3 * v[0] ** 2
        error = m[1] ** 2 + v[1] - 2 * m[1] * square + fourth
        log_likelihood = -0.5 * error / public.NOISE**2 - math.log(public.NOISE * math.sqrt(2 * math.pi))
        return log_likelihood - 0.5 * (v + m**2 - 1 - 2 * log_sigma).sum()

    optimizer = torch.optim.LBFGS([mu, log_sigma], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = -elbo()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert f"{elbo().item():.3f}".replace("-", "−").replace(".", ",") in PROSE


def test_log_evidence_and_the_gaussians_likelihood_are_as_stated():
    side = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    likelihood = (
        torch.distributions.Normal(public.OBSERVED, public.NOISE).log_prob(public.parabola(grid)).sum(1)
    )
    log_evidence = torch.logsumexp(public.log_normal(grid) + likelihood, 0).item() + 2 * math.log(0.01)
    assert public.bulgarian(log_evidence) in PROSE

    points, cell = TwoMoons().grid()
    weights = TwoMoons().log_prob(points).exp() * cell
    centred = points - weights @ points
    covariance = centred.T @ (weights[:, None] * centred)
    nll = 0.5 * torch.logdet(covariance).item() + 1 + math.log(2 * math.pi)
    assert public.bulgarian(nll, 2) in PROSE


def test_verdicts_on_several_tensors():
    one, two = torch.zeros(3), torch.zeros(3, 2)
    assert [t.shape for t in expect_tensors((two, one), (3, 2), (3,))] == [two.shape, one.shape]
    for value, words in ((one, "2 тензора"), ((one,), "върна 1"), ((one, one), r"\(3, 2\)"), (None, "None")):
        with pytest.raises(WrongForm, match=words):
            expect_tensors(value, (3, 2), (3,))


def test_verdict_on_loops():
    student = NamespaceStudent({"f": lambda x: x.exp().sum(), "g": lambda x: sum(row.exp() for row in x)})
    small, large = (torch.zeros(2, 2),), (torch.zeros(9, 2),)
    expect_no_loop(student, "f", small, large, "x")
    with pytest.raises(Failed, match="цикъл"):
        expect_no_loop(student, "g", small, large, "x")
