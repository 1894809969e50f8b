"""Builds the book: executes its notebooks in parallel, runs Sphinx on their outputs, publishes .ipynb files.

===============  =====================================================================================
sources.py       the pages, and which of them are notebooks
keys.py          what a notebook's outputs depend on: its code, what it imports from the course
labs.py          labs: run with their answers, published with their stubs
kernels.py       kernels that start in a moment
execute.py       runs what is out of date; names the chapter, cell and line that failed
store.py         keeps the outputs where Sphinx finds them
site.py          runs Sphinx, packs the wheel of gmtools
notebooks.py     Sphinx extension that writes the .ipynb files ...
markdown.py      ... from the resolved page, as plain notebook Markdown, and
inline.py        ... the text inside its paragraphs; fragments.py puts text into lists and quotations
nbval.py         runs the published notebooks again and compares; nbval_plugin.py belongs to it
colab.py         runs them in an environment that has only what Colab has
slides.py        reveal.js decks of the chapters (with slides.js, slides.css), and
pdf.py           the whole book in one PDF, both from the built pages
report.py        what the pages weigh and how soon one can read them
===============  =====================================================================================
"""
