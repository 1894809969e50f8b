"""The installed peers, built with the sizes of gmtools' flows, each behind the one call that is timed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def zuko_real_nvp(dim, layers, hidden):
    import zuko

    flow = zuko.flows.RealNVP(dim, transforms=layers, hidden_features=(hidden, hidden))
    return flow, lambda x: -flow().log_prob(x).mean()


def nflows_real_nvp(dim, layers, hidden):
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import AffineCouplingTransform, CompositeTransform

    def net(d_in, d_out):
        return _Ignoring(_mlp(d_in, hidden, d_out))

    masks = [torch.arange(dim) % 2 if k % 2 else 1 - torch.arange(dim) % 2 for k in range(layers)]
    flow = Flow(CompositeTransform([AffineCouplingTransform(m, net) for m in masks]), StandardNormal([dim]))
    return flow, lambda x: -flow.log_prob(x).mean()


def normflows_real_nvp(dim, layers, hidden):
    import normflows

    parts = []
    for _ in range(layers):
        net = normflows.nets.MLP([dim // 2, hidden, hidden, dim], init_zeros=True)
        parts += [normflows.flows.AffineCouplingBlock(net), normflows.flows.Permute(dim, mode="swap")]
    flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(dim, trainable=False), parts)
    return flow, flow.forward_kld


def pyro_real_nvp(dim, layers, hidden):
    import pyro.distributions as dist
    from pyro.distributions import transforms as T
    from pyro.nn import DenseNN

    half = dim // 2
    parts = []
    for k in range(layers):
        parts.append(T.AffineCoupling(half, DenseNN(half, [hidden, hidden], [half, half])))
        if k < layers - 1:
            parts.append(T.Permute(torch.cat((torch.arange(half, dim), torch.arange(half)))))
    flow = dist.TransformedDistribution(dist.Normal(torch.zeros(dim), torch.ones(dim)).to_event(1), parts)

    def nll(x):
        flow.clear_cache()  # it would hand back last step's graph
        return -flow.log_prob(x).mean()

    return nn.ModuleList(p for p in parts if isinstance(p, nn.Module)), nll


def zuko_maf(dim, layers, hidden):
    import zuko

    flow = zuko.flows.MAF(dim, transforms=layers, hidden_features=(hidden, hidden))
    return lambda n: flow().sample((n,))


def nflows_maf(dim, layers, hidden):
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import (
        CompositeTransform,
        MaskedAffineAutoregressiveTransform,
        ReversePermutation,
    )

    parts = []
    for _ in range(layers):
        parts += [
            MaskedAffineAutoregressiveTransform(dim, hidden, num_blocks=1, use_residual_blocks=False),
            ReversePermutation(dim),
        ]
    flow = Flow(CompositeTransform(parts), StandardNormal([dim]))
    return lambda n: flow.sample(n)


def normflows_maf(dim, layers, hidden):
    """Its directions are exchanged: the inverse is the one that goes dimension by dimension."""
    import normflows

    parts = [normflows.flows.MaskedAffineAutoregressive(dim, hidden, num_blocks=1) for _ in range(layers)]

    def draw(n):
        x = torch.randn(n, dim)
        for part in parts:
            x, _ = part.inverse(x)
        return x

    return draw


def pyro_maf(dim, layers, hidden):
    """Pyro's fast direction draws (IAF); its masked direction, the one of MAF, is the inverse."""
    import pyro.distributions as dist
    from pyro.distributions import transforms as T

    parts = [T.affine_autoregressive(dim, [max(hidden, dim)] * 2).inv for _ in range(layers)]
    flow = dist.TransformedDistribution(dist.Normal(torch.zeros(dim), torch.ones(dim)).to_event(1), parts)
    return lambda n: flow.sample((n,))


def normflows_planar(dim, layers):
    import normflows

    parts = nn.ModuleList(normflows.flows.Planar((dim,)) for _ in range(layers))

    def forward(z):
        total = 0.0
        for part in parts:
            z, ladj = part(z)
            total = total + ladj
        return z, total

    return parts, forward


def pyro_planar(dim, layers):
    from pyro.distributions import transforms as T

    parts = nn.ModuleList(T.Planar(dim) for _ in range(layers))

    def forward(z):
        total = 0.0
        for part in parts:
            part.clear_cache()
            x = part(z)
            total = total + part.log_abs_det_jacobian(z, x).reshape(len(z))
            z = x
        return z, total

    return parts, forward


REAL_NVP = {
    "zuko": zuko_real_nvp,
    "nflows": nflows_real_nvp,
    "normflows": normflows_real_nvp,
    "pyro": pyro_real_nvp,
}
MAF: dict[str, Callable] = {
    "zuko": zuko_maf,
    "nflows": nflows_maf,
    "normflows": normflows_maf,
    "pyro": pyro_maf,
}
PLANAR = {"normflows": normflows_planar, "pyro": pyro_planar}


def _mlp(d_in: int, hidden: int, d_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(d_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, d_out)
    )


class _Ignoring(nn.Module):
    """A network that is handed a context it does not use."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.net(x)
