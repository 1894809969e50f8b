"""Reference answers to lab 1. The names are those of the lab's stubs; the lab's own imports suffice."""

import math

import torch
import torch.nn.functional as F


def gaussian_kl(mu, logvar):
    """KL(N(mu, diag(exp(logvar))) || N(0, I)), в натове.

    mu, logvar: (N, D)
    връща: (N,)
    """
    return 0.5 * (logvar.exp() + mu**2 - 1 - logvar).sum(dim=-1)


def bernoulli_log_likelihood(x, logits):
    """log p(x) за независими двоични пиксели с вероятности sigmoid(logits), в натове.

    x: (N, D), нули и единици; logits: (N, D) или (K, N, D)
    връща: (N,) или (K, N)
    """
    return (x * logits - F.softplus(logits)).sum(dim=-1)


def reparametrised_sample(mu, logvar, K):
    """K реализации z ~ N(mu, diag(exp(logvar))) за всеки обект, диференцируеми по mu и logvar.

    mu, logvar: (N, Dz); K: цяло число
    връща: (K, N, Dz)
    """
    eps = torch.randn(K, *mu.shape, dtype=mu.dtype, device=mu.device)
    return mu + torch.exp(0.5 * logvar) * eps


def elbo(x, mu, logvar, decoder, K):
    """Оценка на ELBO по Монте Карло с K реализации z ~ q(z|x) за всеки обект, в натове.

    x: (N, D) двоични; mu, logvar: (N, Dz), параметрите на q
    decoder: от z с форма (K, N, Dz) прави логити с форма (K, N, D)
    връща: (N,), диференцируема по mu и logvar
    """
    z = reparametrised_sample(mu, logvar, K)
    return bernoulli_log_likelihood(x, decoder(z)).mean(dim=0) - gaussian_kl(mu, logvar)


def log_weights(x, z, mu, logvar, decoder):
    """log [p(x|z) p(z) / q(z|x)] за дадените реализации z, в натове.

    x: (N, D) двоични; z: (K, N, Dz); mu, logvar: (N, Dz), параметрите на q
    decoder: от z с форма (K, N, Dz) прави логити с форма (K, N, D)
    връща: (K, N), диференцируемо по z, mu и logvar
    """
    squared_distance = (z - mu) ** 2 * torch.exp(-logvar)
    log_ratio = 0.5 * (squared_distance + logvar - z**2).sum(dim=-1)
    return bernoulli_log_likelihood(x, decoder(z)) + log_ratio


def iwae_bound(log_w):
    """Границата на IWAE: логаритъм от средното тегло, в натове.

    log_w: (K, N), логаритми на тегла (може и -inf)
    връща: (N,)
    """
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def vae_loss(vae, x):
    """Загубата, която обучението минимизира: минус границата, средно за обект, в натове.

    vae: модул с части vae["encoder"], (N, D) -> (N, 2 * Dz), и vae["decoder"], (K, N, Dz) -> (K, N, D)
    x: (N, D) двоични
    връща: скалар, диференцируем по теглата на двете мрежи
    """
    mu, logvar = vae["encoder"](x).chunk(2, dim=-1)
    return -elbo(x, mu, logvar, vae["decoder"], K=1).mean()
