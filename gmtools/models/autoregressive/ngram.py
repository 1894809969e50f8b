"""The n-gram model: a Markov chain over symbols, smoothed by its own shorter contexts."""

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_positive, check_shape

LARGEST_TABLE = 50_000_000


class NGram(nn.Module):
    r"""n-gram model of sequences of symbols, with interpolated counts.

    .. math:: p(x) = \prod_t p(x_t \mid x_{t-n+1}, \dots, x_{t-1}), \qquad
              p_k(s \mid c) = \frac{\#(c s) + \alpha\, p_{k-1}(s \mid c')}{\#(c) + \alpha}, \qquad p_0(s) =
              \frac1V

    where :math:`c'` drops the oldest symbol of the context :math:`c`: each order has a Dirichlet prior
    centred at the shorter one. The first symbols of a sequence use the shorter contexts. Learning is
    counting: call ``fit``.

    Args:
        order: n; 1 is a bag of symbols, 2 a Markov chain.
        symbols: size V of the alphabet. Tables are dense, with :math:`V^n` entries.
        alpha: weight of the shorter context, in counts.

    Shapes:
        x: integers below V, ``(N, T)``.

    Raises:
        ValueError: a table of more than 50 million entries, symbols out of range, or wrong shapes.

    Reference: D. MacKay, L. Bauman Peto, A Hierarchical Dirichlet Language Model, 1995.
    Chapter: 2-models/18-spectrum-fully-observed.

    >>> model = NGram(order=2, symbols=2, alpha=0.01).fit(torch.tensor([[0, 1, 0, 1, 0, 1]]))
    >>> model.log_prob(torch.tensor([[0, 1, 0], [1, 0, 1]])).exp()
    tensor([0.4979, 0.4979])
    """

    def __init__(self, order: int, symbols: int, alpha: float = 1.0):
        super().__init__()
        check_count("order", order)
        check_count("symbols", symbols)
        check_positive("alpha", alpha)
        if symbols**order > LARGEST_TABLE:
            raise ValueError(f"symbols ** order is {symbols**order}, expected at most {LARGEST_TABLE}")
        self.order, self.symbols, self.alpha = order, symbols, alpha
        for k in range(1, order + 1):  # counts of k successive symbols, indexed by their context
            self.register_buffer(f"counts_{k}", torch.zeros(symbols ** (k - 1), symbols))

    def _check(self, x: Tensor) -> Tensor:
        check_shape("x", x, "N", "T")
        if x.is_floating_point() or bool(((x < 0) | (x >= self.symbols)).any()):
            raise ValueError(f"x has values outside 0, ..., {self.symbols - 1} or is not of integers")
        return x.long()

    def _context(self, x: Tensor, k: int) -> Tensor:
        """The number written by every k - 1 successive symbols, with the symbol after them left out."""
        length = x.shape[1] - k + 1
        index = torch.zeros_like(x[:, :length])
        for offset in range(k - 1):
            index = index * self.symbols + x[:, offset : offset + length]
        return index

    def fit(self, x: Tensor) -> "NGram":
        """Add the counts of the sequences ``(N, T)``; returns the model. Call again for sequences of other
        length."""
        x = self._check(x)
        for k in range(1, min(self.order, x.shape[1]) + 1):
            counts = self.counts(k)
            joint = self._context(x, k) * self.symbols + x[:, k - 1 :]
            counts += torch.bincount(joint.flatten(), minlength=counts.numel()).view_as(counts)
        return self

    def counts(self, k: int) -> Tensor:
        """How often each symbol followed each context of k - 1 symbols, shape ``(V ** (k - 1), V)``."""
        return getattr(self, f"counts_{k}")

    def conditional(self, k: int) -> Tensor:
        """p(symbol | context of k - 1 symbols), shape ``(V ** (k - 1), V)``; rows are numbered as base-V
        numbers."""
        p = torch.full((1, self.symbols), 1 / self.symbols).to(self.counts_1)
        for j in range(1, k + 1):
            counts = self.counts(j)
            shorter = p.repeat(self.symbols if j > 1 else 1, 1)  # rows differ in the oldest symbol: it leads
            p = (counts + self.alpha * shorter) / (counts.sum(1, keepdim=True) + self.alpha)
        return p

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-probability of each sequence ``(N, T)``, shape ``(N,)``, in nats."""
        x = self._check(x)
        total = torch.zeros(x.shape[0]).to(self.counts_1)
        for k in range(1, min(self.order, x.shape[1]) + 1):
            # Short contexts serve the start only; the longest serves all the rest.
            last = x.shape[1] if k == self.order else k
            part = x[:, :last]
            total = total + self.conditional(k).log()[self._context(part, k), part[:, k - 1 :]].sum(1)
        return total

    def sample(self, n: int, length: int) -> Tensor:
        """Draw n sequences, ``(n, length)``."""
        check_count("n", n)
        check_count("length", length)
        tables = [self.conditional(k) for k in range(1, self.order + 1)]
        x = torch.zeros(n, length, dtype=torch.long, device=self.counts_1.device)
        for t in range(length):
            k = min(t + 1, self.order)
            context = self._context(x[:, t - k + 1 : t + 1], k)[:, 0]
            x[:, t] = torch.multinomial(tables[k - 1][context], 1)[:, 0]
        return x
