"""Reference answers to lab 2. The names are those of the lab's stubs; the lab's own imports suffice."""

import math

import torch
from torch.distributions import Bernoulli


def bernoulli_score(z, logits):
    """Скор-функцията на независими двоични величини: производната на log q(z) по логитите.

    z: (K, N, D), нули и единици; logits: (N, D)
    връща: (K, N, D)
    """
    return z - torch.sigmoid(logits)


def score_function_gradient(values, z, logits):
    """Оценка на производната на E[f(z)] по логитите чрез скор-функцията, средно по K реализации.

    values: (K, N), стойностите f(z); z: (K, N, D), реализации от q; logits: (N, D)
    връща: (N, D)
    """
    return (values.unsqueeze(-1) * bernoulli_score(z, logits)).mean(dim=0)


def pathwise_gradient(f, mu, log_sigma, K):
    """Оценка на производните на E[f(z)], z ~ N(mu, exp(log_sigma)^2), по пътя, средно по K реализации.

    f: диференцируема, от (K, N, D) към (K, N); mu, log_sigma: (N, D)
    връща: двойка тензори (N, D) – производните по mu и по log_sigma
    """
    mu, log_sigma = (t.detach().clone().requires_grad_() for t in (mu, log_sigma))
    eps = torch.randn(K, *mu.shape, dtype=mu.dtype)
    value = f(mu + torch.exp(log_sigma) * eps).mean(dim=0).sum()
    return torch.autograd.grad(value, (mu, log_sigma))


def optimal_baseline(values, score):
    """Базовата линия с най-малка дисперсия, отделна за всеки обект и всяка координата.

    values: (K, N), стойностите f(z); score: (K, N, D), скор-функцията
    връща: (N, D); нула там, където скор-функцията е нула за всички K
    """
    weight = score**2
    total = weight.sum(dim=0)
    weighted = (values.unsqueeze(-1) * weight).sum(dim=0)
    return torch.where(total > 0, weighted / total.clamp(min=torch.finfo(total.dtype).tiny), 0.0)


def leave_one_out(values):
    """От всяка стойност се изважда средното на останалите K - 1.

    values: (K, N), K >= 2
    връща: (K, N)
    """
    others = (values.sum(dim=0) - values) / (len(values) - 1)
    return values - others


def surrogate(values, log_q):
    """Заместител: стойността му е средното на values, а градиентът – неотместена оценка на този на E[f].

    values: (K, N), f(z), може да зависи диференцируемо от параметри; log_q: (K, N), log q(z)
    връща: (N,)
    """
    score_term = leave_one_out(values).detach() * log_q
    return (values + score_term - score_term.detach()).mean(dim=0)


def gumbel_softmax(logits, temperature, K):
    """K меки едноединични вектора с шум на Гумбел, диференцируеми по логитите.

    logits: (N, C); temperature: положително число
    връща: (K, N, C), неотрицателни, със сбор единица по последната ос
    """
    exponential = torch.empty(K, *logits.shape, dtype=logits.dtype).exponential_()
    return torch.softmax((logits - exponential.log()) / temperature, dim=-1)


def discrete_vae_loss(vae, x):
    """Загубата, която обучението минимизира: минус ELBO, средно за обект, в натове.

    vae: vae["encoder"], (N, D) -> (N, Dz), логитите на q; vae["decoder"], (K, N, Dz) -> (K, N, D), логити
    x: (N, D) двоични
    връща: скалар; градиентът му е неотместен по теглата на двете мрежи
    """
    q = Bernoulli(logits=vae["encoder"](x))
    z = q.sample((4,))
    log_q = q.log_prob(z).sum(dim=-1)
    log_likelihood = Bernoulli(logits=vae["decoder"](z)).log_prob(x).sum(dim=-1)
    log_prior = -z.shape[-1] * math.log(2)
    return -surrogate(log_likelihood + log_prior - log_q, log_q).mean()
