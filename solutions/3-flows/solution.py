"""Reference answers to lab 3. The names are those of the lab's stubs; the lab's own imports suffice."""

import torch
import torch.nn.functional as F
from torch.distributions import Normal


def planar_constraint(w, u):
    """Премества u по посоката на w така, че планарният слой да е обратим: w·û > −1.

    w, u: (..., D), w не е нулев вектор
    връща: û с форма (..., D), за което w·û = m(w·u), m(a) = −1 + log(1 + exp(a))
    """
    product = (w * u).sum(dim=-1, keepdim=True)
    missing = F.softplus(product) - 1 - product
    return u + missing * w / (w**2).sum(dim=-1, keepdim=True)


def planar(z, w, u, b):
    """Планарен слой x = z + u·tanh(w·z + b) и логаритъмът от якобиана му.

    z: (N, D); w, u: (D,), като w·u > −1; b: скалар ()
    връща: x с форма (N, D) и ladj = log|det ∂x/∂z| с форма (N,)
    """
    h = torch.tanh(z @ w + b)
    return z + h[:, None] * u, torch.log1p((1 - h**2) * (w @ u))


def coupling(z, net):
    """Афинен свързващ слой, от шум към данни: x₁ = z₁, x₂ = (z₂ − t)·exp(s).

    z: (N, D), D е четно; z₁ и z₂ са първата и втората половина от координатите
    net: от z₁ с форма (N, D/2) прави (N, D) числа: първата половина са t, втората – a, а s = 2·tanh(a/2)
    връща: x с форма (N, D) и ladj = log|det ∂x/∂z| с форма (N,)
    """
    kept, moved = z.chunk(2, dim=-1)
    shift, raw = net(kept).chunk(2, dim=-1)
    log_scale = 2 * torch.tanh(raw / 2)
    return torch.cat([kept, (moved - shift) * log_scale.exp()], dim=-1), log_scale.sum(dim=-1)


def coupling_inverse(x, net):
    """Обратната посока на свързващия слой, от данни към шум.

    x: (N, D), D е четно; net: същата мрежа, както в coupling
    връща: z с форма (N, D) и ladj = log|det ∂z/∂x| с форма (N,)
    """
    kept, moved = x.chunk(2, dim=-1)
    shift, raw = net(kept).chunk(2, dim=-1)
    log_scale = 2 * torch.tanh(raw / 2)
    return torch.cat([kept, moved * torch.exp(-log_scale) + shift], dim=-1), -log_scale.sum(dim=-1)


def made_masks(dim, hidden):
    """Маски за MADE: i-тият изход зависи само от входовете преди i-тия.

    dim: брой променливи D; hidden: списък с размерите на скритите слоеве, поне един
    връща: списък от len(hidden) + 1 маски от 0.0 и 1.0 във формата на теглата, (изходи, входове) на слоя
    """
    degrees = [torch.arange(1, dim + 1)]
    degrees += [1 + torch.arange(size) % max(dim - 1, 1) for size in hidden]
    pairs = zip(degrees[:-1], degrees[1:], strict=True)
    masks = [(after[:, None] >= before).float() for before, after in pairs]
    return masks + [(degrees[0][:, None] > degrees[-1]).float()]


def flow_forward(z, nets):
    """Прекарва z през потока: за всяка мрежа – свързващ слой, след това обръщане на реда на координатите.

    z: (N, D), реализации на N(0, I); nets: мрежите на слоевете в реда от шум към данни
    връща: x с форма (N, D) и log q(x) с форма (N,), в натове
    """
    log_q = Normal(0.0, 1.0).log_prob(z).sum(dim=-1)
    for net in nets:
        x, ladj = coupling(z, net)
        z, log_q = x.flip(-1), log_q - ladj
    return z, log_q


def flow_log_prob(x, nets):
    """Логаритмичната плътност на същия поток в дадени точки.

    x: (N, D); nets: мрежите на слоевете в реда от шум към данни
    връща: log q(x) с форма (N,), в натове
    """
    correction = 0.0
    for net in reversed(nets):
        x, ladj = coupling_inverse(x.flip(-1), net)
        correction = correction + ladj
    return Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction


def planar_elbo(x, z, w, u, b, decoder, sigma):
    """ELBO за един обект, когато q(z|x) е N(0, I), прекарано през L планарни слоя; средно за K реализации.

    Моделът е p(z) = N(0, I), p(x|z) = N(decoder(z), σ²I).
    x: (Dx,); z: (K, D), реализации на N(0, I) преди първия слой
    w, u: (L, D), b: (L,); u не е ограничено: приложете planar_constraint
    decoder: от (K, D) прави (K, Dx); sigma: стандартното отклонение σ, положително число
    връща: скалар (), в натове, диференцируем по w, u и b
    """
    log_q = Normal(0.0, 1.0).log_prob(z).sum(dim=-1)
    for w_l, u_l, b_l in zip(w, planar_constraint(w, u), b, strict=True):
        z, ladj = planar(z, w_l, u_l, b_l)
        log_q = log_q - ladj
    log_p = Normal(0.0, 1.0).log_prob(z).sum(dim=-1) + Normal(decoder(z), sigma).log_prob(x).sum(dim=-1)
    return (log_p - log_q).mean()
