"""Checks of AligNet npz files and of whole releases, ours or others'."""

from alignet.triplet_verify.names import join
from alignet.triplet_verify.one_file import verify
from alignet.triplet_verify.outcome import Check
from alignet.triplet_verify.outcome import Verification
from alignet.triplet_verify.release import ReleaseVerification
from alignet.triplet_verify.release import verify_release

__all__ = [
    "Check",
    "ReleaseVerification",
    "Verification",
    "join",
    "verify",
    "verify_release",
]
