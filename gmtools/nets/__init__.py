"""Networks, the functions inside the models.

``mlp`` (multilayer perceptron with a context), ``made`` (masked autoregressive network), ``masked_conv``
(convolutions that see the past only), ``pixelcnn`` and ``pixelrnn`` (all conditionals of an image), ``conv``
(convolutional encoder and decoder for signals, images and voxels).
"""

from gmtools.nets.conv import ConvDecoder, ConvEncoder
from gmtools.nets.made import MADE
from gmtools.nets.masked_conv import MaskedConv2d, RowsAboveConv2d
from gmtools.nets.mlp import MLP
from gmtools.nets.pixelcnn import GatedLayer, PixelCNN
from gmtools.nets.pixelrnn import DiagonalBiLSTM, DiagonalLSTM, PixelRNN, skew, unskew

__all__ = [
    "MADE",
    "MLP",
    "ConvDecoder",
    "ConvEncoder",
    "DiagonalBiLSTM",
    "DiagonalLSTM",
    "GatedLayer",
    "MaskedConv2d",
    "PixelCNN",
    "PixelRNN",
    "RowsAboveConv2d",
    "skew",
    "unskew",
]
