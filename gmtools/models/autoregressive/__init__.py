"""Fully observed directed models, with exact likelihoods.

``made`` (binary and real variables), ``nade``, ``ngram`` (sequences of symbols), ``pixel`` (images, around
PixelCNN or PixelRNN).
"""

from gmtools.models.autoregressive.made import BernoulliMADE, GaussianMADE
from gmtools.models.autoregressive.nade import NADE
from gmtools.models.autoregressive.ngram import NGram
from gmtools.models.autoregressive.pixel import PixelAutoregressive

__all__ = ["NADE", "BernoulliMADE", "GaussianMADE", "NGram", "PixelAutoregressive"]
