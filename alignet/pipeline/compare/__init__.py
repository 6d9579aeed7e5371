"""One page about two models."""
