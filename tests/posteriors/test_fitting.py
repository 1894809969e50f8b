"""What fitting asks of its arguments; that it fits is shown in tests/models/test_plane.py."""

import pytest
from torch.distributions import Normal

from gmtools.posteriors import MeanField, fit_posterior, gap


@pytest.mark.parametrize("summed", [lambda p: p.sum(), lambda p: p.sum(-1, keepdim=True), lambda p: p])
def test_fitting_wants_one_number_for_each_draw(summed):
    family = MeanField(2)
    log_joint = lambda z: summed(Normal(0.0, 1.0).log_prob(z))  # noqa: E731
    with pytest.raises(ValueError, match=r"log_joint\(z\) has shape .*, expected \(16,\)"):
        fit_posterior(family, log_joint, steps=1, samples=16)
    with pytest.raises(ValueError, match=r"log_joint\(z\) has shape .*, expected \(16,\)"):
        gap(family(), log_joint, 0.0, K=16)
