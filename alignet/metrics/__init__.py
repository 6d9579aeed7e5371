"""Metrics and writers for Kauldron trainers."""

from alignet.metrics.dense import DenseAccuracy
from alignet.metrics.dense import DenseKL
from alignet.metrics.drift import Drift
from alignet.metrics.triplet import TripletAccuracy
from alignet.metrics.triplet import TripletKL
from alignet.metrics.writer import JsonlWriter

__all__ = [
    "DenseAccuracy",
    "DenseKL",
    "Drift",
    "JsonlWriter",
    "TripletAccuracy",
    "TripletKL",
]
