"""MNIST and Fashion-MNIST: fetched once, checked, cached; without a network, digits of the same shape."""

import gzip
import hashlib
import os
import urllib.request
import warnings
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gmtools.data.digits import digits
from gmtools.data.image_set import ImageSet, Splits

TIMEOUT = 10  # seconds to wait for a mirror


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        name: names the cache folder.
        mirrors: addresses of folders that hold the four ``.gz`` files, tried in order.
        sha256: of each file once unpacked (mirrors compress differently).
        installed: a folder where an operating system's package puts the files.
    """

    name: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    installed: Path | None = None


MNIST = Source(
    "mnist",
    (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)

FASHION_MNIST = Source(
    "fashion-mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    installed=Path("/usr/share/datasets/fashion-mnist"),  # Debian's package dataset-fashion-mnist
)


def fashion_mnist(*, download: bool = True) -> Splits:
    """Load Fashion-MNIST: 70 000 grey images of ten kinds of clothing, 28 x 28 pixels, 256 levels.

    The files are looked for in the cache (``$GMTOOLS_CACHE``, by default ``~/.cache/gmtools``), where
    Debian's package dataset-fashion-mnist installs them, and on the mirrors, in this order; each is
    compared with its SHA-256. If none can be had, a warning is given and scikit-learn's digits, enlarged
    to 28 x 28, are returned: look at ``name``.

    Args:
        download: whether the mirrors may be asked.

    Returns:
        Three :class:`ImageSet`: 50 000 to train, 10 000 to validate, 10 000 to test; images uint8
        ``(N, 1, 28, 28)``, labels ``(N,)``.

    Reference: Xiao, Rasul & Vollgraf (2017), Fashion-MNIST: a novel image dataset.

    Chapter: 1-why/09-images-and-video
    """
    return _load(FASHION_MNIST, download)


def mnist(*, download: bool = True) -> Splits:
    """Load MNIST: 70 000 handwritten digits, 28 x 28 pixels, 256 levels; as :func:`fashion_mnist`.

    Reference: LeCun, Cortes & Burges (1998), The MNIST database of handwritten digits.

    Chapter: 1-why/09-images-and-video
    """
    return _load(MNIST, download)


def _load(source: Source, download: bool) -> Splits:
    files: dict[str, Tensor] = {}
    for filename in source.sha256:
        payload = _find(source, filename) or (_download(source, filename) if download else None)
        if payload is None:
            warnings.warn(
                f"{source.name} is neither installed, cached nor within reach; "
                "using scikit-learn's 8 x 8 digits enlarged to 28 x 28 instead",
                stacklevel=3,
            )
            return _enlarged_digits()
        files[filename] = _parse_idx(payload)
    images = files["train-images-idx3-ubyte"][:, None], files["t10k-images-idx3-ubyte"][:, None]
    labels = files["train-labels-idx1-ubyte"].long(), files["t10k-labels-idx1-ubyte"].long()
    cut = len(labels[0]) * 5 // 6
    return Splits(
        ImageSet(images[0][:cut], labels[0][:cut], 256, source.name),
        ImageSet(images[0][cut:], labels[0][cut:], 256, source.name),
        ImageSet(images[1], labels[1], 256, source.name),
    )


def _cache(source: Source) -> Path:
    root = os.environ.get("GMTOOLS_CACHE") or Path.home() / ".cache" / "gmtools"
    return Path(root) / source.name


def _unpacked(source: Source, filename: str, packed: bytes) -> bytes | None:
    """The file's content, or None if it is not the file that was published."""
    try:
        payload = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):  # no header, cut short, damaged within
        return None
    return payload if hashlib.sha256(payload).hexdigest() == source.sha256[filename] else None


def _find(source: Source, filename: str) -> bytes | None:
    for folder in filter(None, (_cache(source), source.installed)):
        path = folder / f"{filename}.gz"
        payload = _unpacked(source, filename, path.read_bytes()) if path.is_file() else None
        if payload is not None:
            return payload
    return None


def _download(source: Source, filename: str) -> bytes | None:
    for mirror in source.mirrors:
        try:
            with urllib.request.urlopen(f"{mirror}{filename}.gz", timeout=TIMEOUT) as answer:
                packed = answer.read()
        except (OSError, HTTPException):  # no network, a refusal, no such file, a timeout, half an answer
            continue
        payload = _unpacked(source, filename, packed)
        if payload is not None:
            _store(_cache(source) / f"{filename}.gz", packed)
            return payload
    return None


def _store(path: Path, packed: bytes) -> None:
    """Write so that another process never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(packed)
    part.replace(path)


def _parse_idx(payload: bytes) -> Tensor:
    """Read the IDX format: two zero bytes, type (8: uint8), rank, the sizes as big-endian integers, data."""
    if payload[:3] != b"\0\0\x08":
        raise ValueError(f"payload begins with {payload[:3]!r}, expected an IDX file of unsigned bytes")
    rank = payload[3]
    sizes = [int.from_bytes(payload[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return torch.frombuffer(bytearray(payload), dtype=torch.uint8, offset=4 + 4 * rank).reshape(sizes)


def _enlarged_digits() -> Splits:
    def enlarge(part: ImageSet) -> ImageSet:
        big = interpolate(part.scaled, size=28, mode="bilinear", align_corners=False)
        return ImageSet((255 * big).round().to(torch.uint8), part.labels, 256, "digits 28 x 28")

    return Splits(*map(enlarge, digits()))
