"""Losses for Kauldron trainers, thin over `alignet.similarity`."""

from alignet.losses.dense import Dense
from alignet.losses.triplet import JSD
from alignet.losses.triplet import KL
from alignet.losses.triplet import Contrastive

__all__ = ["Contrastive", "Dense", "JSD", "KL"]
