"""Wrong and other right answers of the lab of parts (it has no hidden checks)."""

import torch
from torch import nn

from gmtools.grading import Hidden

hidden = Hidden()
hidden.mistakes(
    "Affine",
    ("грешен знак при обръщането", "(x - self.shift)", "(x + self.shift)"),
    ("теглата не се обучават", "nn.Parameter(torch.zeros(dim))", "torch.zeros(dim)"),
    ("без логаритъм от детерминантата", "self.log_scale.sum().expand(len(z))", "z.sum() * 0"),
    ("не пази размера", "self.dim = dim", "pass"),
)
hidden.mistakes(
    "ascend",
    ("слиза", "x + step", "x - step"),
    ("една стъпка", "range(steps)", "range(1)"),
    ("без градиент", "score(x)", "score(x.detach()).detach()"),
    ("на място", "x = x + step * score(x)", "x += step * score(x)"),
)


@hidden.alternative("ascend", "чрез add")
def ascend_by_add(score, x, steps, step):
    return x if steps == 0 else ascend_by_add(score, x.add(score(x), alpha=step), steps - 1, step)


@hidden.alternative("ascend", "в списък")
def ascend_in_a_list(score, x, steps, step):
    path = [x]
    for _ in range(steps):
        path.append(torch.add(path[-1], step * score(path[-1])))
    return path[-1]


@hidden.alternative("Affine", "с функции на torch")
class AffineByTorch(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        for name in ("log_scale", "shift"):
            self.register_parameter(name, nn.Parameter(torch.randn(dim)))

    def forward(self, z):
        return torch.addcmul(self.shift, z, self.log_scale.exp()), self.log_scale.sum().repeat(len(z))

    def inverse(self, x):
        return torch.sub(x, self.shift).div(self.log_scale.exp()), self.log_scale.sum().neg().repeat(len(x))


@hidden.alternative("Affine", "dim е свойство")
class AffineWithProperty(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.log_scale, self.shift = (nn.Parameter(torch.ones(dim)) for _ in range(2))

    @property
    def dim(self):
        return len(self.shift)

    def forward(self, z):
        return torch.exp(self.log_scale) * z + self.shift, torch.full((len(z),), 1.0) * self.log_scale.sum()

    def inverse(self, x):
        return (x - self.shift) / torch.exp(self.log_scale), -self.log_scale.sum().expand(x.shape[0])
