"""A Beam pipeline gives the bytes that one process gives.

Beam is no dependency of the other tests: `make parity` has it.
"""

import os
import pathlib
import subprocess
import sys

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import json_files
from alignet.representations import store
from alignet.triplets import npz
import numpy as np
import pytest
from response_generation import respond
from response_generation.respond import Response

pytest.importorskip("apache_beam", reason="Apache Beam: pip install '.[beam]'")
# pylint: disable=g-import-not-at-top,wrong-import-position
from apache_beam.options import pipeline_options  # noqa: E402
from response_generation import beam_pipeline  # noqa: E402
from response_generation import transformed_store  # noqa: E402

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

_PROCESSES = (
    "--runner=FnApiRunner",
    "--direct_num_workers=2",
    "--direct_running_mode=multi_processing",
)


def _beam(*flags):
  options = pipeline_options.PipelineOptions(
      list(flags or ["--runner=FnApiRunner", "--direct_num_workers=3"])
  )
  return beam_pipeline.computer(options)


def _responses(world, folder):
  """Rows in memory, twice the same, and the features' own file."""
  return [
      Response(out=folder / "aligned.npz", transform=world.transform),
      Response(out=folder / "raw.npz"),
      Response(
          out=folder / "matched.npz", temperature_from=folder / "aligned.npz"
      ),
  ]


def _answer(world, folder, **options):
  responses = _responses(world, folder)
  respond.respond_all(**world.inputs, responses=responses, **options)
  assert sorted(p.name for p in folder.iterdir()) == sorted(
      response.out.name for response in responses
  )
  return [response.out.read_bytes() for response in responses]


@pytest.fixture
def clusters(world, tmp_path):
  path = tmp_path / "clusters.npz"
  meta = json_files.array({"rows": identities.of_names(world.names)})
  files.save_npz(path, {"assignments": np.arange(60) % 9, "meta": meta})
  return path


@pytest.mark.parametrize("form", ["float32", "bfloat16"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_the_bytes_of_one_process(
    world, tmp_path, clusters, monkeypatch, form, on_disk
):
  one = _answer(world, tmp_path / "one", store=form, workers=1)
  if on_disk:
    monkeypatch.setattr(transformed_store, "_SMALL", 0)
  monkeypatch.chdir(tmp_path)
  found = _answer(
      world,
      pathlib.Path("beam"),  # A relative path means nothing to a worker.
      store=form,
      rows=30,
      clusters=clusters,
      compute=_beam(),
  )
  assert found == one


def test_workers_that_are_processes(world, tmp_path, monkeypatch):
  monkeypatch.setenv("PYTHONPATH", str(_ROOT))
  one = _answer(world, tmp_path / "one")
  found = _answer(world, tmp_path / "beam", rows=30, compute=_beam(*_PROCESSES))
  assert found == one


def test_only_what_is_missing_is_computed(world, tmp_path, monkeypatch):
  one, out = tmp_path / "one.npz", tmp_path / "beam.npz"
  respond.respond(**world.inputs, out=one)
  respond.respond(**world.inputs, out=out, rows=30, part=(0, 2))
  real, numbers = beam_pipeline._run, []

  def run(missing, *args):
    numbers.append(missing)
    real(missing, *args)

  monkeypatch.setattr(beam_pipeline, "_run", run)
  common = {**world.inputs, "out": out, "rows": 30, "compute": _beam()}
  respond.respond(**common, part=(1, 4))
  with monkeypatch.context() as m:
    m.setattr(npz, "write", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      respond.respond(**common)
  respond.respond(**common)  # Finds all of them: no pipeline.
  assert numbers == [[1, 5], [3, 7]]
  assert out.read_bytes() == one.read_bytes()


@pytest.mark.parametrize("flags", [(), _PROCESSES])
def test_what_fails_in_a_worker_is_one_sentence(
    world, tmp_path, monkeypatch, flags
):
  monkeypatch.setenv("PYTHONPATH", str(_ROOT))
  store.write(
      tmp_path / "large", world.features * np.float32(1e25), world.names, {}, {}
  )
  inputs = {**world.inputs, "representations": tmp_path / "large"}
  with pytest.raises(AlignetError, match=r"failed: .*similarity overflows"):
    respond.respond(**inputs, out=tmp_path / "x.npz", compute=_beam(*flags))


def test_other_devices_are_refused(world, tmp_path):
  with pytest.raises(AlignetError, match="expected cpu with Beam, found 'jax'"):
    respond.respond(
        **world.inputs, out=tmp_path / "x.npz", device="jax", compute=_beam()
    )


def test_a_part_of_a_map_is_not_taken_for_the_whole(tmp_path):
  whole = np.arange(30, dtype=np.float32).reshape(10, 3)
  files.save_npy(tmp_path / "whole.npy", whole)
  mapped = files.load_npy(tmp_path / "whole.npy", mmap=True)
  for array in (mapped, mapped[2:], mapped[:5], mapped[:, :2], whole[::2]):
    opened = beam_pipeline._Map.of(array, tmp_path / "new.npy").open()
    np.testing.assert_array_equal(opened, array)
  again = beam_pipeline._Map.of(mapped, tmp_path / "none.npy")
  assert again.path == str(tmp_path / "whole.npy")
  assert not (tmp_path / "none.npy").exists()


def test_command(world, tmp_path):
  one, out = tmp_path / "one.npz", tmp_path / "beam.npz"
  respond.respond(**world.inputs, transform=world.transform, out=one)
  command = [
      *(sys.executable, "-m", "response_generation.beam"),
      "--cfg=response_generation/aligned",
      f"--cfg.representations={world.representations}",
      f"--cfg.triplets={world.triplets}",
      f"--cfg.transform={world.transform}",
      f"--cfg.out={out}",
      *("--", "--runner=FnApiRunner"),
  ]
  done = subprocess.run(
      command, cwd=_ROOT, env=os.environ, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert "211 triplets, aligned dot similarities" in done.stdout
  assert out.read_bytes() == one.read_bytes()
