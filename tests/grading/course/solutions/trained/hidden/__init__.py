"""The lab with a trained exercise has no hidden checks."""

from gmtools.grading import Hidden

hidden = Hidden()
