"""Images, labels and human judgments: where they come from."""
