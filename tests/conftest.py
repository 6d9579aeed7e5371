"""Shared fixtures."""

import os
import pathlib
import sys

import pytest

_MAPS = pathlib.Path("/proc/self/maps")


@pytest.fixture(autouse=True, scope="module")
def compiled_programs_do_not_pile_up():
  """One process may hold 65,530 memory maps on Linux, every program some.

  All tests together compile more than that, and XLA then ends the process
  (SIGABRT, or SIGSEGV where a program is written to the cache).
  """
  yield
  if "jax" in sys.modules and _MAPS.exists():
    if len(_MAPS.read_bytes().splitlines()) > 20_000:
      sys.modules["jax"].clear_caches()


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


@pytest.fixture(scope="session")
def needs_jax_dtype():
  """needs_jax_dtype(dtype): skips where XLA has no code for it.

  XLA compiles no float16 for processors without F16C, such as a plain SSE4.2.
  """

  def check(dtype) -> None:
    import jax  # pylint: disable=g-import-not-at-top
    import jax.numpy as jnp  # pylint: disable=g-import-not-at-top

    try:
      jax.jit(lambda x: x.astype(jnp.float32) + 1)(jnp.zeros(8, dtype))
    except jax.errors.JaxRuntimeError:
      pytest.skip(f"XLA compiles no {dtype} for this processor")

  return check


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory) -> dict[str, str]:
  """Paths of a tiny world, see `tiny.make`."""
  from tests import tiny  # pylint: disable=g-import-not-at-top

  return tiny.make(tmp_path_factory.mktemp("tiny_world"))


@pytest.fixture(scope="session")
def shrunk(tiny_world):
  """shrunk(name, workdir, …): a training config made small, see `tiny`."""

  def load(name, workdir, *, weights="", steps=8, overrides=()):
    from alignet.io import config_files  # pylint: disable=g-import-not-at-top
    from tests import tiny  # pylint: disable=g-import-not-at-top

    small = tiny.changes(
        tiny_world, name, workdir, weights=weights, steps=steps
    )
    return config_files.load(name, [*small, *overrides])

  return load
