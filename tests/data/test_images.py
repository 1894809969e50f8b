"""Laws of the image data: splits are disjoint and fixed, files are checked, nothing needs a network."""

import gzip
import hashlib
import http.client
import math
import socket
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
import torch

from gmtools.data import (
    ALPHABETS,
    FACES,
    LOOK_ALIKES,
    dequantise,
    digits,
    factor_grid,
    glyphs,
    images,
    jitter,
    render_sprites,
    sample_factors,
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError("tests have no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("GMTOOLS_CACHE", str(tmp_path / "cache"))


def test_importing_the_data_touches_no_heavy_library():
    code = (
        "import sys, torch, gmtools.data; "
        "print([m for m in ('sklearn', 'scipy', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- digits


def test_the_splits_of_the_digits_are_a_partition_of_scikit_learns():
    from sklearn.datasets import load_digits

    parts = digits()
    together = torch.cat([p.images for p in parts]).flatten(1)
    original = torch.from_numpy(load_digits().images).flatten(1).to(torch.uint8)
    assert sorted(together.tolist()) == sorted(original.tolist())
    labelled = [
        [*i, y] for p in parts for i, y in zip(p.images.flatten(1).tolist(), p.labels.tolist(), strict=True)
    ]
    with_target = torch.cat([original.long(), torch.from_numpy(load_digits().target)[:, None]], 1)
    assert sorted(labelled) == sorted(with_target.tolist())


def test_the_splits_never_change():
    """Published numbers hang on this permutation: a torch that draws another one must be noticed."""
    labels = torch.cat([p.labels for p in digits()]).to(torch.uint8)
    assert hashlib.sha256(bytes(labels.tolist())).hexdigest()[:16] == "62128d18bd7d7c62"


def test_every_digit_is_in_every_split():
    for part in digits():
        assert torch.bincount(part.labels, minlength=10).min() >= 15
        assert part.images.dtype == torch.uint8 and part.images.max() == 16 and part.levels == 17
        assert part.scaled.min() == 0 and part.scaled.max() == 1


# ---------------------------------------------------------------- dequantisation


def test_dequantised_values_fall_uniformly_into_their_bins():
    torch.manual_seed(0)
    x = torch.randint(0, 17, (200, 64))
    torch.set_default_dtype(torch.float64)
    y = dequantise(x, 17)
    torch.set_default_dtype(torch.float32)
    assert torch.equal((17 * y).floor().long(), x) and y.max() < 1
    noise = (17 * y - x).flatten()
    for power in (1, 2):
        moment = noise**power
        assert abs(moment.mean() - 1 / (power + 1)) < 5 * moment.std() / len(noise) ** 0.5


@pytest.mark.parametrize("level, levels", [(255, 256), (200, 256), (16, 17), (6, 7)])
def test_rounding_leaves_no_bin(level, levels):
    torch.manual_seed(0)
    y = dequantise(torch.full((3_000_000,), level, dtype=torch.uint8), levels)
    assert y.max() < 1 and ((levels * y).floor() == level).all()


@pytest.mark.parametrize("noise", [0.0, 1 - 2**-24])
def test_no_bin_is_left_at_the_ends_of_the_noise(noise, monkeypatch):
    monkeypatch.setattr(torch, "rand_like", lambda x: torch.full_like(x, noise))
    for levels in (2, 3, 4, 8, 16, 17, 256):
        x = torch.arange(levels)
        assert torch.equal((levels * dequantise(x, levels)).floor().long(), x)


@pytest.mark.parametrize(
    "x, levels, message",
    [
        (torch.tensor([17]), 17, "values from 17 to 17, expected integers 0 to 16"),
        (torch.tensor([-1.0]), 17, "values from -1"),
        (torch.tensor([0.5]), 17, "fractional"),
        (torch.tensor([0]), 1, "levels is 1"),
    ],
)
def test_only_grey_levels_are_dequantised(x, levels, message):
    with pytest.raises(ValueError, match=message):
        dequantise(x, levels)


# ---------------------------------------------------------------- MNIST and Fashion-MNIST


def idx(values):
    header = b"\0\0\x08" + bytes([values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    return header + bytes(values.flatten().tolist())


@pytest.fixture
def shop(tmp_path):
    """A mirror made of files: 12 training and 4 test images, with a source that knows their checksums."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    truth, checksums = {}, {}
    for part, n in (("train", 12), ("t10k", 4)):
        pixels = torch.randint(0, 256, (n, 28, 28), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, 10, (n,), generator=generator, dtype=torch.uint8)
        for name, values in ((f"{part}-images-idx3-ubyte", pixels), (f"{part}-labels-idx1-ubyte", labels)):
            payload = idx(values)
            (folder / f"{name}.gz").write_bytes(gzip.compress(payload))
            truth[name], checksums[name] = values, hashlib.sha256(payload).hexdigest()
    return images.Source("shop", (folder.as_uri() + "/",), checksums), truth, folder


def assert_is_the_truth(parts, truth):
    train_pixels = torch.cat([parts.train.images, parts.validation.images])[:, 0]
    assert torch.equal(train_pixels, truth["train-images-idx3-ubyte"])
    train_labels = torch.cat([parts.train.labels, parts.validation.labels])
    assert torch.equal(train_labels, truth["train-labels-idx1-ubyte"].long())
    assert torch.equal(parts.test.images[:, 0], truth["t10k-images-idx3-ubyte"])
    assert len(parts.train.labels) == 10 and len(parts.validation.labels) == 2 and parts.train.name == "shop"


def test_files_are_fetched_once_and_cached(shop):
    source, truth, folder = shop
    assert_is_the_truth(images._load(source, True), truth)
    for path in folder.iterdir():
        path.unlink()
    assert_is_the_truth(images._load(source, True), truth)
    assert_is_the_truth(images._load(source, False), truth)


def test_installed_files_are_used_without_any_mirror(shop):
    source, truth, folder = shop
    assert_is_the_truth(images._load(replace(source, mirrors=(), installed=folder), False), truth)


def test_a_dead_or_lying_mirror_is_passed_over(shop, tmp_path):
    source, truth, folder = shop
    liar = tmp_path / "liar"
    liar.mkdir()
    for path in folder.iterdir():
        (liar / path.name).write_bytes(gzip.compress(b"something else"))
    mirrors = (liar.as_uri() + "/", (tmp_path / "absent").as_uri() + "/", *source.mirrors)
    assert_is_the_truth(images._load(replace(source, mirrors=mirrors), True), truth)


@pytest.mark.parametrize(
    "damage",
    [b"", b"not gzip", gzip.compress(b"other", mtime=0)],
    ids=["empty", "not gzip", "another file"],
)
def test_a_damaged_cache_is_fetched_again(shop, damage):
    source, truth, _ = shop
    images._load(source, True)
    (images._cache(source) / "t10k-images-idx3-ubyte.gz").write_bytes(damage)
    assert_is_the_truth(images._load(source, True), truth)


def test_a_flipped_bit_in_the_cache_is_noticed(shop):
    source, truth, _ = shop
    images._load(source, True)
    path = images._cache(source) / "train-images-idx3-ubyte.gz"
    packed = path.read_bytes()
    for bit in range(8 * 16):  # of the header, then of the compressed content
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert_is_the_truth(images._load(source, True), truth)


def test_a_mirror_that_breaks_off_is_passed_over(shop, monkeypatch):
    class Broken:
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

        def read(self):
            raise http.client.IncompleteRead(b"half")

    monkeypatch.setattr(images.urllib.request, "urlopen", lambda *_, **__: Broken())
    with pytest.warns(UserWarning, match="neither installed, cached nor within reach"):
        assert images._load(shop[0], True).train.name == "digits 28 x 28"


@pytest.mark.parametrize("load", [images.mnist, images.fashion_mnist])
def test_without_network_a_warning_and_digits_of_the_same_shape(load, monkeypatch):
    monkeypatch.setattr(images, "FASHION_MNIST", replace(images.FASHION_MNIST, installed=None))
    with pytest.warns(UserWarning, match="neither installed, cached nor within reach") as caught:
        parts = load()
    assert caught[0].filename != images.__file__
    assert parts.train.name == "digits 28 x 28"
    for part, original in zip(parts, digits(), strict=True):
        assert part.images.shape[1:] == (1, 28, 28) and part.images.dtype == torch.uint8
        assert part.levels == 256 and torch.equal(part.labels, original.labels)


@pytest.mark.skipif(
    not images.FASHION_MNIST.installed.is_dir(), reason="needs Debian's package dataset-fashion-mnist"
)
def test_the_installed_fashion_mnist_is_the_published_one():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = images.fashion_mnist(download=False)
    assert [len(p.labels) for p in parts] == [50_000, 10_000, 10_000]
    assert torch.bincount(parts.test.labels).tolist() == [1000] * 10


def test_other_formats_are_refused():
    with pytest.raises(ValueError, match="expected an IDX file"):
        images._parse_idx(b"\0\0\x0d\1aaaa")


# ---------------------------------------------------------------- glyphs


@pytest.mark.parametrize("alphabet", sorted(ALPHABETS))
@pytest.mark.parametrize("case", ["upper", "lower"])
def test_letters_are_distinct_inked_and_not_cut_off(alphabet, case):
    letters = glyphs(alphabet, case=case)
    count = len(ALPHABETS[alphabet])
    assert letters.images.shape == (count * len(FACES), 1, 28, 28)
    assert torch.equal(torch.bincount(letters.labels), torch.full((count,), len(FACES)))
    border = torch.cat([letters.images[..., [0, -1]].flatten(), letters.images[..., [0, -1], :].flatten()])
    assert border.max() == 0
    assert letters.images.flatten(1).max(1).values.min() > 0.5
    for face in range(len(FACES)):
        assert len(letters.images[letters.faces == face].flatten(1).unique(dim=0)) == count


def test_faces_differ_and_letters_are_centred():
    letters = glyphs("latin", size=32)
    one = letters.images[letters.labels == 0].flatten(1)
    assert len(one.unique(dim=0)) == len(FACES)
    rows = letters.images.amax((1, 3)) > 0
    first, last = rows.float().argmax(1), 31 - rows.flip(1).float().argmax(1)
    assert ((first + last - 31).abs() <= 3).all()


@pytest.mark.parametrize("case", ["upper", "lower"])
def test_letters_that_look_alike_to_the_pixel_are_listed(case):
    seen = torch.cat([glyphs(a, case=case, faces=("sans",)).images for a in ("latin", "greek")])
    own = glyphs("cyrillic", case=case, faces=("sans",))
    same = (own.images[:, None] == seen).flatten(2).all(-1).any(-1)
    found = {c for c, s in zip(own.characters, same.tolist(), strict=True) if s}
    assert len(found) >= 6 and found <= set(LOOK_ALIKES[case])


def test_jitter_moves_ink_a_little():
    torch.manual_seed(0)
    letters = glyphs("greek").images
    moved = jitter(letters)
    assert moved.shape == letters.shape and not torch.allclose(moved, letters)
    torch.testing.assert_close(jitter(letters, degrees=0, scale=0, shift=0), letters, atol=1e-5, rtol=0)
    ratio = moved.sum((1, 2, 3)) / letters.sum((1, 2, 3))
    assert 0.8 < ratio.mean() < 1.3


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: glyphs("runic"), "alphabet is 'runic', expected one of latin"),
        (lambda: glyphs(case="title"), "case is 'title'"),
        (lambda: glyphs(faces=("comic",)), "faces is 'comic'"),
        (lambda: glyphs(faces=()), "number of faces is 0"),
        (lambda: glyphs(size=4), "size is 4"),
        (lambda: jitter(torch.zeros(3, 28, 28)), r"images has shape \(3, 28, 28\)"),
        (lambda: render_sprites(torch.zeros(3, 4)), r"factors has shape \(3, 4\)"),
        (lambda: render_sprites(torch.full((1, 5), 7.0)), r"factors has shapes \[7.0\]"),
        (lambda: sample_factors(0), "n is 0"),
        (lambda: factor_grid(positions=0), "positions is 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------- sprites


def centre(images):
    size = images.shape[-1]
    axis = (torch.arange(size) + 0.5) / size
    mass = images.sum((1, 2, 3))
    x = (images.sum((1, 2)) * axis).sum(1) / mass
    y = 1 - (images.sum((1, 3)) * axis).sum(1) / mass
    return torch.stack([x, y], -1)


def test_position_moves_the_centre_of_mass():
    factors = torch.tensor([[s, 1.0, 0.3, x, y] for s in (0, 1) for x in (0.0, 0.5, 1.0) for y in (0.0, 0.7)])
    expected = 0.28 + 0.44 * factors[:, 3:]
    torch.testing.assert_close(centre(render_sprites(factors, 64)), expected, atol=3e-3, rtol=0)


def test_area_grows_with_the_square_of_the_scale_and_ignores_orientation():
    scales, angles = torch.linspace(0.5, 1, 5), torch.linspace(0, 6, 5)
    exact = {0: (2 * 0.8) ** 2, 1: math.pi / 2, 2: None}
    for shape, area in exact.items():
        factors = torch.stack(
            [torch.full((5,), float(shape)), scales, angles, *2 * [torch.full((5,), 0.5)]], -1
        )
        covered = render_sprites(factors, 128).mean((1, 2, 3)) / (0.2 * scales) ** 2
        expected = covered[-1].expand(5) if area is None else torch.full((5,), area)
        torch.testing.assert_close(covered, expected, rtol=0.03, atol=0)


def test_a_full_turn_changes_nothing_and_a_quarter_turn_turns_the_picture():
    factors = torch.tensor([[2.0, 1.0, 0.4, 0.5, 0.5]])
    turn = torch.tensor([[0.0, 0.0, math.pi / 2, 0.0, 0.0]])
    picture = render_sprites(factors, 64)
    assert (render_sprites(factors + 4 * turn, 64) - picture).abs().mean() < 1e-3
    assert (render_sprites(factors + turn, 64) - picture.rot90(1, (2, 3))).abs().mean() < 1e-3


def test_no_sprite_is_cut_off():
    factors = factor_grid(2, 8, 3)
    assert len(factors) == 3 * 2 * 8 * 9 and len(factors.unique(dim=0)) == len(factors)
    pictures = render_sprites(factors)
    assert pictures[..., [0, -1]].max() == 0 and pictures[..., [0, -1], :].max() == 0
    assert pictures.amax((1, 2, 3)).min() == 1


def test_factors_are_independent_and_uniform():
    torch.manual_seed(0)
    n = 20_000
    f = sample_factors(n)
    u = torch.stack([f[:, 0] / 2, 2 * f[:, 1] - 1, f[:, 2] / (2 * math.pi), f[:, 3], f[:, 4]], -1)
    assert u.min() >= 0 and u.max() <= 1
    assert ((u.mean(0) - 0.5).abs() < 5 * u.std(0) / n**0.5).all()
    correlation = torch.corrcoef(u.T) - torch.eye(5)
    assert correlation.abs().max() < 5 / n**0.5
