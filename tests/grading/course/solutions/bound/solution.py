"""Reference answers of the small lab."""

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


def elbo(x, mu, logvar, decoder, K):
    """Оценка на ELBO по Монте Карло с K реализации z ~ q(z|x) за всеки обект, в натове.

    x: (N, D) двоични; mu, logvar: (N, Dz), параметрите на q
    decoder: от z с форма (K, N, Dz) прави логити с форма (K, N, D)
    връща: (N,), диференцируема по mu и logvar
    """
    eps = torch.randn(K, *mu.shape, dtype=mu.dtype, device=mu.device)
    z = mu + torch.exp(0.5 * logvar) * eps
    return bernoulli_log_likelihood(x, decoder(z)).mean(dim=0) - gaussian_kl(mu, logvar)
