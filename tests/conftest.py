"""Shared fixtures."""

import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def test_data() -> pathlib.Path:
  """Folder of real images, representations and human data, or a skip."""
  here = pathlib.Path(__file__).resolve().parent.parent
  path = pathlib.Path(
      os.environ.get("ALIGNET_TEST_DATA", here.parent / "shared" / "data")
  )
  if not path.is_dir():
    pytest.skip("real data not found: set ALIGNET_TEST_DATA to its folder")
  return path
