"""Figures and self-contained HTML pages: arrays in, one file out.

Modules: `figures` (charts), `gallery` (triplets), `structure` (similarity
matrices and maps), `tree` (dendrograms), `projection` (PCA, classical scaling),
`page` (HTML), `latex` (tables), `inputs` (what a report is drawn from, on
disk), `comparison` (the page that sets models side by side) and `evaluation`
(what `alignet evaluate` found, by source).
"""
