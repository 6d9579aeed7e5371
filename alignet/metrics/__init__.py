"""Metrics and writers for Kauldron trainers."""

from alignet.metrics.triplet import TripletAccuracy
from alignet.metrics.writer import JsonlWriter

__all__ = ["JsonlWriter", "TripletAccuracy"]
