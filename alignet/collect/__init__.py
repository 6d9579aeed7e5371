"""Asking people: what to show them, the page that shows it, their answers.

`mine` finds the pairs and triplets on which two models differ most, `page`
writes a page that shows them, or any others, in a browser, `answers` joins what
it saves. `tables` reads and writes the lists between them, `stimuli` the
images.
"""
