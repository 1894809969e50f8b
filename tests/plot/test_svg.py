"""The SVG of a figure depends on what is seen, not on the layout's last bits."""

import re

import matplotlib.pyplot as plt

from gmtools.plot import own_names, to_svg


def two_axes(shift):
    """Lines, marks and hatches in two axes whose places are off by ``shift``."""
    fig = plt.figure(figsize=(4.0, 2.0), layout="none")
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


def test_two_figures_on_a_page_share_no_clip_path():
    def figure(height):
        fig = plt.figure(figsize=(2.0, 2.0), layout="none")
        fig.add_axes((0.2, 0.2, 0.7, 0.7), ylim=(0, 3)).fill_between([0, 1], [0, height], hatch="//")
        return own_names(to_svg(fig))

    first, second = figure(1), figure(2)
    names = [set(re.findall(r'<(?:clipPath|pattern) id="([\w-]+)"', svg)) for svg in (first, second)]
    assert len(names[0]) == len(names[1]) == 2 and not names[0] & names[1]
    for svg, own in zip((first, second), names, strict=True):
        assert set(re.findall(r"url\(#([\w-]+)\)", svg)) == own
