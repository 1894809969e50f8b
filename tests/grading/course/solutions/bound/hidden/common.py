"""What the exercises share: where they register."""

from gmtools.grading import Hidden

hidden = Hidden()
