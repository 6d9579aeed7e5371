"""A release of AligNet data: folder, data card, Croissant, TFDS builder."""
