"""Tiny stand-ins for models and data, shipped for tests and first steps."""
