"""Laws of the toy densities: they integrate to one, their samples follow them, their entropies are right."""

import math

import pytest
import torch
from scipy import stats

from gmtools.data import (
    TOYS,
    Checkerboard,
    EightGaussians,
    GaussianGrid,
    GaussianMixture2D,
    NoisyCurves,
    Pinwheel,
    Rings,
    Spirals,
    TwoMoons,
)
from gmtools.data.curves import _on_circle

NAMES = sorted(TOYS)


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def toys():
    return {name: TOYS[name]() for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_density_integrates_to_one(name, toys):
    points, cell = toys[name].grid()
    assert float(toys[name].log_prob(points).exp().sum()) * cell == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_entropy_is_the_mean_surprise_of_the_samples(name, toys):
    torch.manual_seed(0)
    surprise = -toys[name].log_prob(toys[name].sample((10_000,)))
    error = surprise.mean() - toys[name].entropy()
    assert abs(error) <= 4.5 * surprise.std() / 10_000**0.5 + 1e-12


def midpoints(low, high, step):
    count = 4 * math.ceil((high - low) / step / 4)
    return low + (high - low) * (torch.arange(count) + 0.5) / count


@pytest.mark.parametrize("name", NAMES)
def test_samples_follow_the_density(name, toys):
    """The mass of sixteen boxes, by counting samples and by integrating the density: a chi-squared test."""
    torch.manual_seed(1)
    toy, n = toys[name], 10_000
    left, right, bottom, top = toy.extent

    def box(x):
        i = ((x[:, 0] - left) / (right - left) * 4).long().clamp(0, 3)
        j = ((x[:, 1] - bottom) / (top - bottom) * 4).long().clamp(0, 3)
        return 4 * i + j

    points = torch.cartesian_prod(midpoints(left, right, toy.step), midpoints(bottom, top, toy.step))
    mass = torch.zeros(16).index_add(0, box(points), toy.log_prob(points).exp())
    expected = n * mass / mass.sum()
    counts = torch.bincount(box(toy.sample((n,))), minlength=16)
    often = expected > 5
    assert counts[~often].sum() <= stats.poisson.isf(1e-6, expected[~often].sum() + 1e-9)
    statistic = ((counts - expected).square() / expected)[often].sum()
    assert statistic < stats.chi2.isf(1e-6, int(often.sum()))


@pytest.mark.parametrize("name", NAMES)
def test_moments_of_samples_match_the_density(name, toys):
    torch.manual_seed(2)
    toy, n = toys[name], 10_000
    x = toy.sample((n,))
    points, cell = toy.grid()
    weight = toy.log_prob(points).exp() * cell
    for power in (1, 2, 3):
        found, exact = x**power, weight @ points**power
        assert ((found.mean(0) - exact).abs() < 5 * found.std(0) / n**0.5 + 1e-4).all()


@pytest.mark.parametrize("name", NAMES)
def test_shapes_dtypes_and_seeds(name, toys):
    toy = toys[name]
    assert toy.event_shape == (2,) and toy.batch_shape == ()
    assert toy.sample().shape == (2,) and toy.sample((3, 4)).shape == (3, 4, 2)
    assert toy.log_prob(toy.sample((3, 4))).shape == (3, 4)
    assert toy.log_prob(torch.zeros(2)).shape == ()
    torch.manual_seed(3)
    first = toy.sample((5,))
    torch.manual_seed(3)
    assert torch.equal(first, toy.sample((5,)))
    torch.set_default_dtype(torch.float32)
    single = toy.sample((50,))
    assert single.dtype == torch.float32 and toy.log_prob(single).dtype == torch.float32
    torch.testing.assert_close(
        toy.log_prob(single).double(), toy.log_prob(single.double()), atol=2e-3, rtol=1e-3
    )
    with pytest.raises(ValueError, match=r"x has shape \(5, 3\), expected \(..., 2\)"):
        toy.log_prob(torch.zeros(5, 3))


@pytest.mark.parametrize("name", NAMES)
def test_no_points_have_no_densities(name, toys):
    assert toys[name].log_prob(torch.zeros(0, 2)).shape == (0,)
    assert toys[name].log_prob(torch.zeros(3, 0, 2)).shape == (3, 0)


def test_well_separated_mixtures_have_the_entropy_of_their_parts():
    part = 1 + math.log(2 * math.pi)
    for toy, count in ((EightGaussians(8.0, 0.2), 8), (GaussianGrid(3, 5.0, 0.2), 9)):
        expected = math.log(count) + part + 2 * math.log(0.2)
        assert float(toy.entropy()) == pytest.approx(expected, abs=1e-9)


def test_checkerboard_is_uniform_on_half_the_board():
    toy = Checkerboard(6, 0.5)
    x = toy.sample((2000,))
    assert toy.log_prob(x).unique().tolist() == [-math.log(4.5)]
    assert toy.log_prob(torch.tensor([0.25, 0.75])) == -math.inf
    assert toy.log_prob(torch.tensor([9.0, 9.0])) == -math.inf


def test_pinwheel_without_swirl_is_a_mixture_of_rotated_gaussians():
    toy = Pinwheel(arms=1, swirl=0.0)
    gaussian = torch.distributions.Normal(torch.tensor([2.0, 0.0]), torch.tensor([0.5, 0.12]))
    x = toy.sample((100,))
    torch.testing.assert_close(toy.log_prob(x), gaussian.log_prob(x).sum(-1))
    assert float(toy.entropy()) == pytest.approx(float(gaussian.entropy().sum()), abs=1e-9)


def test_swirl_preserves_volume_so_a_lone_arm_keeps_its_entropy():
    assert float(Pinwheel(1, swirl=1.5).entropy()) == pytest.approx(
        float(Pinwheel(1, swirl=0.0).entropy()), abs=1e-6
    )


def test_quadrature_along_circles_agrees_with_the_bessel_function():
    rings = Rings((1.0, 2.0), 0.15)
    circles = [lambda t, r=r: r * _on_circle(2 * math.pi * t) for r in (1.0, 2.0)]
    curves = NoisyCurves(circles, 0.15, speed=8 * math.pi)
    x = 2 * torch.randn(500, 2)
    torch.testing.assert_close(curves.log_prob(x), rings.log_prob(x), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("toy", [TwoMoons(), Spirals()], ids=["moons", "spirals"])
def test_density_on_a_curve_is_converged_in_the_number_of_nodes(toy):
    torch.manual_seed(0)
    finer = NoisyCurves(toy.curves, toy.noise, speed=3 * 20.0 * math.pi)
    x = toy.sample((500,))
    torch.testing.assert_close(toy.log_prob(x), finer.log_prob(x), atol=1e-7, rtol=1e-7)


def test_two_moons_are_those_of_scikit_learn():
    from sklearn.datasets import make_moons

    torch.manual_seed(0)
    ours = TwoMoons().sample((3000,)).numpy()
    theirs = make_moons(3000, noise=0.1, random_state=0)[0]
    for projection in ([1, 0], [0, 1], [0.6, 0.8], [0.8, -0.6]):
        assert stats.ks_2samp(ours @ projection, theirs @ projection).pvalue > 1e-4


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GaussianMixture2D(torch.zeros(3, 3), 1.0), r"means has shape \(3, 3\)"),
        (lambda: GaussianMixture2D(torch.zeros(3, 2), 0.0), "scale has shape"),
        (lambda: EightGaussians(radius=-1.0), "radius"),
        (lambda: GaussianGrid(side=0), "side is 0"),
        (lambda: Checkerboard(3), "squares is 3, expected an even number"),
        (lambda: Checkerboard(4, -1.0), "side"),
        (lambda: Pinwheel(arms=0), "arms is 0"),
        (lambda: Pinwheel(tangential_scale=0.0), "tangential_scale"),
        (lambda: TwoMoons(noise=float("nan")), "noise"),
        (lambda: Rings((1.0, -1.0)), "radii"),
        (lambda: Spirals(arms=0), "arms is 0"),
    ],
)
def test_bad_parameters_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
