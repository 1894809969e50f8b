"""Reference answers to lab 5. The names are those of the lab's stubs; the lab's own imports suffice."""

import math

import torch
import torch.nn.functional as F


def causal_mask(kind, size):
    """Маската на ядро size × size: единица за пикселите, които изходът вижда, нула за останалите.

    kind: "A" (самият пиксел е скрит) или "B" (самият пиксел се вижда); size: нечетно число
    връща: (size, size), реални числа 0 и 1; пикселите са подредени по редове, както се чете
    """
    position = torch.arange(size * size).reshape(size, size)
    centre = size * size // 2
    visible = position < centre if kind == "A" else position <= centre
    return visible.float()


def masked_conv(x, weight, bias, kind):
    """Маскирана конволюция: изходът в един пиксел зависи само от пиксели, които маската вижда.

    x: (N, Cin, H, W); weight: (Cout, Cin, size, size), size е нечетно; bias: (Cout,); kind: "A" или "B"
    връща: (N, Cout, H, W) – същите височина и ширина, отвън изображението е допълнено с нули
    """
    size = weight.shape[-1]
    mask = causal_mask(kind, size).to(weight)
    return F.conv2d(x, weight * mask, bias, padding=size // 2)


def pixel_logits(x, layers):
    """Логитите на всички условни разпределения p(x_i | x_<i), с едно минаване през PixelCNN.

    x: (N, 1, H, W), степени 0, 1, …, L − 1 като реални числа
    layers: списък от двойки (weight, bias), поне две; bias на последната двойка е с форма (L,)
    връща: (N, L, H, W)
    """
    first, *middle, last = layers
    levels = last[1].shape[0]
    h = masked_conv(2 * x / (levels - 1) - 1, *first, "A")
    for weight, bias in middle:
        h = h + masked_conv(F.relu(h), weight, bias, "B")
    return masked_conv(F.relu(h), *last, "B")


def log_prob(x, net):
    """Точният логаритъм от вероятността на всяко изображение: сборът на log p(x_i | x_<i).

    x: (N, 1, H, W), степени 0, 1, …, L − 1 като реални числа
    net: от изображения (N, 1, H, W) прави логити (N, L, H, W); вика се веднъж
    връща: (N,), в натове; диференцируемо по логитите
    """
    log_p = F.log_softmax(net(x), dim=1)
    chosen = log_p.gather(1, x.long())
    return chosen.flatten(1).sum(dim=1)


def bits_per_dim(log_p, dims, levels=None):
    """Битове на размерност: колко струва средно един пиксел на код без загуби.

    log_p: (N,), в натове: log p(x) на дискретен модел или, ако е дадено levels, логаритмичната плътност
        log q(y) на деквантувани данни y = (x + u) / levels, u ~ U[0, 1), y в [0, 1)^dims
    dims: брой на размерностите (пикселите); levels: брой на степените L
    връща: (N,), в битове
    """
    volume = 0.0 if levels is None else math.log(levels)
    return (volume - log_p / dims) / math.log(2)


def sample(net, n, height, width):
    """Нови изображения от модела, пиксел след пиксел по редове.

    net: от изображения (n, 1, height, width) прави логити (n, L, height, width); вика се height · width пъти
    връща: (n, 1, height, width), степени 0, 1, …, L − 1 като реални числа
    """
    x = torch.zeros(n, 1, height, width)
    for row in range(height):
        for column in range(width):
            p = torch.softmax(net(x)[:, :, row, column], dim=1).detach()
            x[:, 0, row, column] = torch.multinomial(p, 1)[:, 0].to(x.dtype)
    return x


def frequencies(logits, precision=16):
    """Цели честоти вместо вероятности: приближение на softmax(logits), с което се смята точно.

    logits: (..., L), L < 2**precision
    връща: (..., L), цели числа (torch.long): всяко поне 1, сборът им по последната ос е точно
        2**precision, а честота / 2**precision се отличава от вероятността най-много с L / 2**precision
    """
    levels = logits.shape[-1]
    spare = 2**precision - levels
    counts = 1 + (torch.softmax(logits.double(), dim=-1) * spare).floor().long()
    missing = 2**precision - counts.sum(dim=-1, keepdim=True)
    return counts.scatter_add(-1, counts.argmax(dim=-1, keepdim=True), missing)


def encode(symbols, freq):
    """Аритметично кодиране: нули и единици, от които decode възстановява символите.

    symbols: (T,), цели числа от 0 до L − 1; freq: (T, L), цели положителни честоти (torch.long) на
        възможните символи на всяка стъпка; сборът им може да е различен за различните стъпки
    връща: низ от "0" и "1": двоична дроб 0,b₁b₂…, която остава в интервала на съобщението, каквото и да се
        допише след нея; по-къс от −log₂ p + 2, където p е произведението на честотите, делени на сборовете им
    """
    low, width, one = 0, 1, 1
    for symbol, counts in zip(symbols.tolist(), freq.tolist(), strict=True):
        total = sum(counts)
        low, one = low * total + width * sum(counts[:symbol]), one * total
        width *= counts[symbol]
    length = 0
    while True:
        point = -(-(low << length) // one)
        if (point + 1) * one <= (low + width) << length:
            return f"{point:0{length}b}" if length else ""
        length += 1


def decode(bits, model, length):
    """Обратното на encode: символите, в чийто интервал е двоичната дроб.

    bits: низ от "0" и "1", може да продължава и след съобщението
    model: от вече възстановените символи (t,), torch.long, прави честотите (L,) на следващия
    length: броят T на символите
    връща: (T,), torch.long
    """
    value, scale = int("0" + bits, 2), 1 << len(bits)
    low, width, one = 0, 1, 1
    symbols = []
    for _ in range(length):
        counts = model(torch.tensor(symbols, dtype=torch.long)).tolist()
        total = sum(counts)
        low, one = low * total, one * total
        symbol = 0
        while value * one >= (low + width * counts[symbol]) * scale:
            low += width * counts[symbol]
            symbol += 1
        width *= counts[symbol]
        symbols.append(symbol)
    return torch.tensor(symbols, dtype=torch.long)
