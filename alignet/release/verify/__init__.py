"""Checks of AligNet npz files and of whole releases, ours or others'."""

from alignet.release.verify.names import join
from alignet.release.verify.one_file import verify
from alignet.release.verify.outcome import Check
from alignet.release.verify.outcome import Verification
from alignet.release.verify.whole_release import ReleaseVerification
from alignet.release.verify.whole_release import verify_release

__all__ = [
    "Check",
    "ReleaseVerification",
    "Verification",
    "join",
    "verify",
    "verify_release",
]
