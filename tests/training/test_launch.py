"""A config from a command line: mistyped keys, and what is no training."""

import subprocess
import sys

from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.training import launch
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from kauldron import konfig
import pytest

_NAMES = ("base", "vice", "student/small", "student/siglip_b", "glocal")


def _configure(name, *overrides):
  return launch.configure(name, ["workdir=out", *overrides])


@pytest.mark.parametrize(
    "override, suggestion",
    [
        ("aux.tua=3", "did you mean aux.tau"),
        ("aux.loss.jds=0", "did you mean aux.loss.jsd"),
        ("trian_ds.x=1", "did you mean train_ds"),
        ("train_ds.batch_sze=1", "did you mean train_ds.batch_size"),
        ("model.backbone.drpout=.1", "did you mean model.backbone.dropout"),
        ("train_losses.jsd.wieght=1", "did you mean train_losses.jsd.weight"),
        ("peak=1", "did you mean aux.peak"),
        ("qqqq=1", "expected one of"),
        ("aux.weights=None", "as '', found 'None' .which may be empty"),
        ("aux.tau.x=1", "aux.tau is a value"),
        ("aux=1", "aux is a group of keys"),
        ("aux=None", "aux is a group of keys"),
        ("num_train_steps=ten", "expected a value of type int"),
        ("num_train_steps=1.5", "expected a value of type int"),
        ("stop_after_steps.x=1", "leaves stop_after_steps open"),
    ],
)
def test_an_override_that_is_wrong(override, suggestion):
  with pytest.raises(AlignetError, match=suggestion) as error:
    _configure("student/siglip_b", override)
  assert "\n" not in str(error.value)


def test_overrides_that_are_right():
  cfg = _configure(
      "student/siglip_b",
      "aux.tau=3",
      "num_train_steps=1e3",
      "aux.batch_size=1k",
      "stop_after_steps=7",  # A field of the trainer that the config leaves.
      "model.backbone.dropout=.1",  # And of the network.
      "profiler=None",
      "evals=None",
      "train_losses.jsd=None",
      "train_metrics.mine=None",  # A place for entries.
  )
  assert cfg.aux.tau == 3 and cfg.num_train_steps == 1000
  assert cfg.aux.batch_size == cfg.train_ds.data_source.batch_size == 1000
  assert cfg.stop_after_steps == 7 and cfg.model.backbone.dropout == 0.1
  assert cfg.evals is None and cfg.train_losses.jsd is None
  assert cfg.train_losses.kl.tau == 3  # By reference.


def _leaves():
  with konfig.set_lazy_imported_modules():
    return [
        (name, key)
        for name in _NAMES
        for key, _ in config_files._leaves(config_files.load(name))
        if not key.rpartition(".")[2].startswith("__") and "xm_job" not in key
    ]


@settings(max_examples=60)
@given(data=st.data())
def test_no_mistyped_key_passes(data):
  """Two letters of any part of any key swapped, or one left out."""
  name, key = data.draw(st.sampled_from(_leaves()))
  parts = key.split(".")
  place = data.draw(st.integers(0, len(parts) - 1))
  part = parts[place]
  i = data.draw(st.integers(0, max(len(part) - 2, 0)))
  swapped = part[:i] + part[i : i + 2][::-1] + part[i + 2 :]
  wrong = data.draw(st.sampled_from([swapped, part[:i] + part[i + 1 :]]))
  mistyped = ".".join([*parts[:place], wrong, *parts[place + 1 :]])
  with konfig.set_lazy_imported_modules():
    node = config_files.load(name)
  for above in parts[:place]:
    node = node[above]
  if not wrong or wrong in node or wrong in (_fields(node, parts[:place])):
    return
  with pytest.raises(AlignetError) as error:
    _configure(name, f"{mistyped}=1")
  if len(part) > 4:
    assert ".".join([*parts[:place], part]) in str(error.value)


def _fields(node, place):
  found = config_files._fields(node, place)
  # Where anything goes, nothing can be mistyped.
  return _Everything() if found is None else found


class _Everything:

  def __contains__(self, key):
    return True


@pytest.mark.parametrize(
    "argv, message",
    [
        ([], "expected a config, as --cfg=NAME or a path"),
        (["base"], "give the run a folder"),
        (["base", "student/small"], "expected one config, found base and"),
        (["--cfg"], "expected --cfg=NAME_OR_PATH, found no value"),
        (["base", "--cfg.workdir"], "expected --cfg.workdir=VALUE"),
        (
            ["base", "--dry_run=fast", "--cfg.workdir=x"],
            "found 'fast'",
        ),
        (["base", "--dryrun", "--cfg.workdir=x"], "unexpected argument"),
        (["demo", "--cfg.workdir=x"], "try `alignet run`"),
        (["nothing", "--cfg.workdir=x"], "neither a file nor the name"),
    ],
)
def test_command_lines_that_are_wrong(argv, message, capsys):
  assert launch.main(argv) == 2
  error = capsys.readouterr().err
  assert message in error and error.count("\n") == 1


def test_a_value_may_follow_its_flag():
  overrides, rest = config_files.split_overrides(
      ["--cfg", "base", "--cfg.aux.peak", "-1", "--cfg.a=b=c", "--dry_run"]
  )
  assert config_files.split_name(rest) == ("base", ["--dry_run"])
  assert overrides == ["aux.peak=-1", "a=b=c"]


def test_a_mistyped_key_is_told_before_kauldron_is_imported():
  script = (
      "import sys\n"
      "from alignet.training import launch\n"
      "code = launch.main(['student/small', '--cfg.workdir=o',"
      " '--cfg.aux.tua=3'])\n"
      "heavy = {'flax', 'kauldron.kd', 'tensorflow', 'grain', 'optax'}\n"
      "sys.exit(10 * bool(heavy & set(sys.modules)) + code)"
  )
  done = subprocess.run(
      [sys.executable, "-c", script], capture_output=True, check=False
  )
  assert done.returncode == 2, done.stderr
  assert b"did you mean aux.tau" in done.stderr
