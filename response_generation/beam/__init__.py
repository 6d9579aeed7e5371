"""Responses by the workers of an Apache Beam pipeline (extra `beam`)."""
