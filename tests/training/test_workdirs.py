"""What may change between two launches in one workdir, and what may not."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.io import locks
from alignet.models.formats import checkpoints as weights_lib
from alignet.training import checkpoints
from alignet.training import provenance
from alignet.training import training_run
from kauldron import konfig
import numpy as np
import pytest
from tests import tiny


@pytest.fixture(scope="module", name="begun")
def _begun(tmp_path_factory):
  """A world, a base, and a student of eight steps that was stopped at six."""
  folder = tmp_path_factory.mktemp("begun")
  world = tiny.make(folder / "world")
  _train("base", tiny.changes(world, "base", folder / "base"))
  _train("student/small", _changes(folder, "whole"))
  _train("student/small", [*_changes(folder, "run"), "stop_after_steps=7"])
  (folder / "run" / training_run.WEIGHTS).unlink()
  return folder


def _changes(folder, name):
  world = {
      key: str(folder / "world" / key)
      for key in ("images", "trial_images", "trials")
  } | {"triplets": str(folder / "world" / "t.npz")}
  base = folder / "base" / training_run.WEIGHTS
  return tiny.changes(world, "student/small", folder / name, weights=base)


def _resolve(name, changes):
  from alignet.io import config_files

  with konfig.set_lazy_imported_modules():
    cfg = config_files.load(name)
  for change in changes:
    if change.startswith("stop_after_steps"):
      cfg.stop_after_steps = int(change.partition("=")[2])
    else:
      config_files.override(cfg, change)
  return konfig.resolve(cfg)


def _train(name, changes):
  return training_run.train(_resolve(name, changes))


@pytest.fixture(name="copied")
def _copied(begun, tmp_path):
  return shutil.copytree(begun, tmp_path / "copied")


@pytest.mark.parametrize(
    "change, message",
    [
        ("aux.batch_size=8", "aux.batch_size was 16 and is now 8"),
        ("aux.peak=1e-3", "aux.peak was 0.0001 and is now 0.001"),
        ("aux.loss.kl=1.0", "aux.loss.kl was 0.0 and is now 1.0"),
        ("aux.decay=3.0", "aux.decay was 1.5 and is now 3.0"),
        ("aux.weights=", "aux.weights was weights.safetensors .*absent"),
        ("seed=1", "seed was 0 and is now 1"),
        ("model.backbone.depth=2", "depth was 1 and is now 2"),
        ("num_train_steps=12", "num_train_steps was 8 and is now 12"),
        ("num_train_steps=3", "num_train_steps was 8 and is now 3"),
    ],
)
def test_another_training_is_refused(copied, change, message):
  trainer = _resolve("student/small", [*_changes(copied, "run"), change])
  with pytest.raises(AlignetError, match=message) as error:
    training_run.train(trainer)
  assert "train in another workdir" in str(error.value)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["t.npz", "images/images.npy", "base"])
def test_other_data_are_refused(copied, what):
  path = copied / "world" / what
  if what == "base":
    path = copied / "base" / training_run.WEIGHTS
  content = bytearray(path.read_bytes())
  content[-1] ^= 1
  path.write_bytes(content)
  trainer = _resolve("student/small", _changes(copied, "run"))
  with pytest.raises(AlignetError, match="another input: .*sha256") as error:
    training_run.train(trainer)
  assert error.value.args[0].count("sha256") == 2


@pytest.mark.parametrize(
    "change",
    [
        "train_ds.num_workers=2",
        "aux.eval_every=8",
        "aux.source=vice",
        "log_metrics_every=1",
        "checkpointer.max_to_keep=3",
        "checkpointer.save_interval_steps=3",
    ],
)
def test_what_cannot_change_the_result_may_change(begun, copied, change):
  changes = [*_changes(copied, "run"), change]
  weights = _train("student/small", changes)
  whole = begun / "whole" / training_run.WEIGHTS
  assert _params(weights) == _params(whole)
  noted = json_files.read(copied / "run" / provenance.FILE)
  assert [s["from"] for s in noted["segments"]][0] == 0
  assert noted["segments"][-1]["settings"] != noted["segments"][0]["settings"]
  assert "segments" not in weights_lib.meta(weights)


def _params(weights):
  _, params = weights_lib.load(weights)
  return json.dumps(
      params, default=lambda x: np.asarray(x).tolist(), sort_keys=True
  )


def test_a_moved_world_is_the_same(begun, copied):
  """Other folders, equal contents."""
  weights = _train("student/small", _changes(copied, "run"))
  assert files.sha256(weights) == files.sha256(
      begun / "whole" / training_run.WEIGHTS
  )


_CONSTANT = """
from alignet.io import config_files
from kauldron import konfig

with konfig.imports():
  from kauldron import kd
  import optax

def get_config():
  cfg = config_files.load("base")
  cfg.schedules.learning_rate = optax.constant_schedule(1e-3)
  rate = cfg.ref.schedules["learning_rate"]
  cfg.optimizer = kd.optim.named_chain(
      adam=optax.scale_by_adam(), rate=optax.scale_by_learning_rate(rate)
  )
  return cfg
"""


def test_more_steps_where_no_schedule_depends_on_them(begun, tmp_path):
  (tmp_path / "constant.py").write_text(_CONSTANT)

  def make(workdir, steps):
    images = {"images": str(begun / "world" / "images")}
    folder = tmp_path / workdir
    changes = tiny.changes(images, "base", folder, steps=steps)
    return _resolve(str(tmp_path / "constant.py"), changes)

  short = training_run.train(make("run", 8))
  before = files.sha256(short)
  longer = training_run.train(make("run", 16))
  assert longer == short and files.sha256(longer) != before
  whole = training_run.train(make("whole", 16))
  assert _params(longer) == _params(whole)
  meta = weights_lib.meta(longer)
  assert [s["steps"] for s in meta["segments"]] == [8, 16]
  assert "segments" not in weights_lib.meta(whole)
  with pytest.raises(AlignetError, match="num_train_steps is now 8, .* 16"):
    training_run.train(make("run", 8))


def test_other_trials_are_recorded(begun, copied):
  path = copied / "world" / "trials" / "a.npz"
  shutil.copy(copied / "world" / "trials" / "b.npz", path)
  weights = _train("student/small", _changes(copied, "run"))
  assert files.sha256(weights) == files.sha256(
      begun / "whole" / training_run.WEIGHTS
  )
  segments = json_files.read(copied / "run" / provenance.FILE)["segments"]
  first, last = (s["settings"]["aux.trials"] for s in segments)
  assert first != last


def test_other_versions_are_recorded(copied, monkeypatch):
  found = files.versions() | {"jax": "another"}
  monkeypatch.setattr(files, "versions", lambda: found)
  weights = _train("student/small", _changes(copied, "run"))
  meta = weights_lib.meta(weights)
  before, after = (s["versions"]["jax"] for s in meta["segments"])
  assert before != after == "another"


def test_a_workdir_of_an_earlier_version(copied):
  (copied / "run" / provenance.FILE).unlink()
  trainer = _resolve("student/small", _changes(copied, "run"))
  with pytest.raises(AlignetError, match="earlier version.*another workdir"):
    training_run.train(trainer)


def _damages():
  yield "cut", lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2])
  yield "gone", lambda p: p.unlink()

  def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)

  yield "flipped", flip


@pytest.mark.parametrize("name, damage", list(_damages()))
def test_a_damaged_checkpoint_is_named_and_left_out(
    begun, tmp_path, name, damage, capsys
):
  del name
  world = shutil.copytree(begun, tmp_path / "copied")
  run = world / "run"
  shutil.rmtree(run)
  changes = [*_changes(world, "run"), "checkpointer.max_to_keep=3"]
  _train("student/small", [*changes, "stop_after_steps=7"])
  (run / training_run.WEIGHTS).unlink()
  noted = json_files.read(run / checkpoints.DIGESTS)
  assert list(noted) == ["0", "4"]
  largest = max(
      (p for p in (run / "checkpoints" / "ckpt_4").rglob("*") if p.is_file()),
      key=lambda p: p.stat().st_size,
  )
  damage(largest)
  capsys.readouterr()
  weights = _train("student/small", changes)
  said = capsys.readouterr().err
  assert said.count("ckpt_4 is damaged and was removed") == 1
  whole = begun / "whole" / training_run.WEIGHTS
  assert files.sha256(weights) == files.sha256(whole)


def test_one_writer(copied):
  trainer = _resolve("student/small", _changes(copied, "run"))
  code = (
      "import sys, time\nfrom alignet.io import locks\n"
      "with locks.held(sys.argv[1]):\n  print('held', flush=True)\n"
      "  time.sleep(60)"
  )
  lock = copied / "run" / locks.LOCK
  root = pathlib.Path(__file__).parents[2]
  other = subprocess.Popen(
      [sys.executable, "-c", code, lock],
      stdout=subprocess.PIPE,
      env=os.environ | {"PYTHONPATH": str(root)},
  )
  try:
    other.stdout.readline()
    start = time.monotonic()
    message = f"process {other.pid} on .*, since .* remove .*lock"
    with pytest.raises(AlignetError, match=message):
      training_run.train(trainer)
    assert time.monotonic() - start < 10
  finally:
    other.kill()
    other.wait()
  assert training_run.train(trainer).exists()  # Released by its death.


def test_a_file_system_without_locks(tmp_path, monkeypatch):
  def refuse(*unused):
    raise OSError(37, "No locks available")

  monkeypatch.setattr(locks.fcntl, "flock", refuse)
  with pytest.raises(AlignetError, match="a file system without locks"):
    with locks.held(tmp_path / "x"):
      pass


def _changed(value):
  if isinstance(value, bool) or value is None:
    return None
  if isinstance(value, int | float):
    return value * 2 + 1
  return None


def test_every_number_of_the_config_is_compared(copied):
  """Never a mixture: refused, or of no consequence for the result."""
  trainer = _resolve("student/small", _changes(copied, "run"))
  flat = dict(provenance.leaves(json.loads(trainer.raw_cfg.to_json())))
  tried = refused = 0
  for key, value in flat.items():
    new = _changed(value)
    if new is None or key.startswith(("evals.", "writer.", "log_")):
      continue
    try:
      changed = _resolve(
          "student/small", [*_changes(copied, "run"), f"{key}={new}"]
      )
    except (AlignetError, TypeError, ValueError):
      continue  # Refused before it comes to the workdir.
    tried += 1
    try:
      provenance.begin(changed)
    except AlignetError as e:
      assert "holds a training" in str(e), key
      refused += 1
    else:
      assert key in ("aux.eval_every", "train_ds.data_source.num_batches"), key
  assert tried > 20 and refused >= tried - 2
