"""Vision transformers: layers, the triplet head, and published variants."""
