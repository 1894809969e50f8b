"""gmtools: deep generative models, one readable page of PyTorch at a time.

The modules carry the names of the book's parts. Importing ``gmtools`` imports nothing else:
take what a chapter needs from its room, for example ``from gmtools.inference import elbo``.
"""

__version__ = "0.1.0"
