"""The SVG of a figure depends on what is seen, not on the layout's last bits."""

import re

import matplotlib.pyplot as plt

from gmtools.plot import to_svg


def two_axes(shift):
    """Lines, marks and hatches in two axes whose places are off by ``shift``."""
    fig = plt.figure(figsize=(4.0, 2.0))
    for left in (0.1, 0.6):
        axes = fig.add_axes((left + shift, 0.2 + shift, 0.3, 0.7))
        axes.plot([0, 1], [0, 1], "o-")
        axes.fill_between([0, 1], [1, 2], hatch="//")
    return to_svg(fig)


def test_the_last_bits_of_the_layout_leave_no_trace():
    assert two_axes(0.0) == two_axes(1e-13)


def test_each_axes_keeps_a_clip_path_of_its_own():
    svg = two_axes(0.0)
    defined = re.findall(r'<clipPath id="(\w+)"', svg)
    assert len(set(defined)) == 2
    assert set(re.findall(r'clip-path="url\(#(\w+)\)"', svg)) == set(defined)
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', svg)) == set(re.findall(r' id="([\w-]+)"', svg))
