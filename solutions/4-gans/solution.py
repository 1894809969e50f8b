"""Reference answers to lab 4. The names are those of the lab's stubs; the lab's own imports suffice."""

import math

import torch
import torch.nn.functional as F


def log_ratio(logits, n_p, n_q):
    """Логаритъм от отношението на плътности p(x)/q(x), извлечен от класификатор.

    logits: логитите на класа „от p“, с произволна форма
    n_p, n_q: с по колко точки от p и от q е обучен класификаторът, положителни цели числа
    връща: log p(x)/q(x) със същата форма
    """
    return logits - math.log(n_p / n_q)


def discriminator_loss(real, fake):
    """Загубата на дискриминатора: минус средното на log D(x) по данните и на log(1 − D(x)) по извадката.

    real: (N,), логити на данните; fake: (M,), логити на извадката; D = σ(логит)
    връща: скалар (), в натове; двете извадки тежат еднакво, колкото и точки да имат
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def logistic_ratio(h_p, h_q, ridge):
    """Отношението на плътности чрез логистична регресия: log p(x)/q(x) ≈ h(x)·w.

    h_p: (N, F), признаците на точките от p; h_q: (M, F), на точките от q; ridge: положително число
    връща: w с форма (F,), което минимизира discriminator_loss(h_p·w, h_q·w) + ½·ridge·‖w‖²
    """
    w = torch.zeros(h_p.shape[1], dtype=h_p.dtype, requires_grad=True)
    search = torch.optim.LBFGS([w], max_iter=500, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure():
        search.zero_grad()
        objective = discriminator_loss(h_p @ w, h_q @ w) + 0.5 * ridge * (w @ w)
        objective.backward()
        return objective

    search.step(closure)
    return w.detach()


def generator_losses(fake):
    """Двете загуби на генератора; и двете се минимизират.

    fake: (M,), логитите на дискриминатора за извадката
    връща: двойка скалари – насищащата се, средното на log(1 − D), и ненасищащата се, минус средното на log D
    """
    return -F.softplus(fake).mean(), F.softplus(-fake).mean()


def gradient_penalty(critic, x, slope):
    """Наказание за наклона: средното по точките на (‖∇ₓ critic(x)‖ − slope)².

    critic: от (N, D) прави (N, 1) или (N,), всеки ред поотделно
    x: (N, D), без requires_grad: включете го сами на копие; slope: неотрицателно число
    връща: скалар (), диференцируем по параметрите на критика – и там, където наклонът е нула
    """
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (gradient.norm(dim=1) - slope).square().mean()


def mmd2(x, y, bandwidths):
    """Неотместена оценка на квадрата на максималното средно несъответствие (MMD).

    x: (N, D), y: (M, D), N и M са поне 2; bandwidths: кортеж от положителни числа
    ядрото k(a, b) е средното на exp(−‖a − b‖²/(2h²)) по всички h от bandwidths
    връща: скалар (), може да е и отрицателен; диференцируем по x и y
    """

    def kernel(a, b):
        squared = (a[:, None] - b).square().sum(dim=-1)
        return sum(torch.exp(-squared / (2 * h**2)) for h in bandwidths) / len(bandwidths)

    def within(a):
        return (kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def mode_shares(x, means, radius):
    """Каква част от извадката се пада на всяка мода.

    x: (M, D), извадката; means: (K, D), центровете на модите; radius: положително число
    точка принадлежи на най-близката мода, ако е на разстояние най-много radius от нея; иначе – на никоя
    връща: (K,), всяко число е дял от всичките M точки
    """
    distance, nearest = (x[:, None] - means).norm(dim=-1).min(dim=1)
    belongs = F.one_hot(nearest, len(means)) * (distance <= radius)[:, None]
    return belongs.to(x.dtype).mean(dim=0)
