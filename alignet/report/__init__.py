"""Figures and self-contained HTML pages: arrays in, one file out.

Modules: `figures` (charts), `gallery` (triplets), `structure` (similarity
matrices and maps), `projection` (PCA), `page` (HTML), `inputs` (what a report
is drawn from, on disk) and `comparison` (the page that sets models side by
side).
"""
