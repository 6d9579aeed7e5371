import pathlib
import sys

from absl import flags
from absl.testing import flagsaver
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.triplets import npz
import numpy as np
import pytest
from response_generation import main
from response_generation import respond

_ROOT = pathlib.Path(__file__).parent.parent.parent
_PATH = _ROOT / "configs/response_generation/aligned.py"


def _config(name, world, out, **more):
  paths = {
      "representations": world.representations,
      "triplets": world.triplets,
      "out": out,
      **more,
  }
  return config_files.load(
      f"response_generation/{name}",
      [f"{key}={value}" for key, value in paths.items()],
  )


def test_three_configs_give_three_kinds_of_responses(world, tmp_path):
  aligned, raw, matched = (tmp_path / f"{k}.npz" for k in "arm")
  main.run(_config("aligned", world, aligned, transform=world.transform))
  main.run(_config("untransformed", world, raw))
  meta = main.run(_config("matched", world, matched, temperature_from=aligned))

  # As by the function itself.
  for out, more in (
      (aligned, {"transform": world.transform}),
      (raw, {}),
      (matched, {"temperature_from": aligned}),
  ):
    again = tmp_path / "again.npz"
    respond.respond(**world.inputs, **more, out=again, overwrite=True)
    assert again.read_bytes() == out.read_bytes()
  # Dividing changes neither who is odd nor the ratio of similarities.
  one, other = npz.open(raw), npz.open(matched)
  np.testing.assert_array_equal(one.indices, other.indices)
  np.testing.assert_allclose(
      one.similarities / meta["temperature"], other.similarities, rtol=1e-6
  )


def test_fields_beside_the_paths_are_those_of_the_command(world, tmp_path):
  config = _config("untransformed", world, tmp_path / "x.npz", store="bfloat16")
  assert main.run(config)["store"] == "bfloat16"
  again = tmp_path / "again.npz"
  respond.respond(**world.inputs, store="bfloat16", out=again)
  assert again.read_bytes() == (tmp_path / "x.npz").read_bytes()
  config = _config(
      "untransformed", world, tmp_path / "y.npz", clusters="no.npz"
  )
  with pytest.raises(AlignetError, match="no.npz does not exist"):
    main.run(config)


@pytest.mark.parametrize(
    "name, field", [("aligned", "transform"), ("matched", "temperature_from")]
)
def test_what_is_not_set_is_an_error(world, tmp_path, name, field):
  config = _config(name, world, tmp_path / "x.npz")
  with pytest.raises(AlignetError, match=f"leaves {field} open"):
    main.run(config)


def test_a_config_takes_no_foreign_field(world, tmp_path):
  with pytest.raises(AlignetError, match="no key 'transform'"):
    _config("untransformed", world, tmp_path / "x", transform="t.npz")


@pytest.fixture
def command(monkeypatch):
  """Parses flags as `python -m response_generation.main` does, then runs."""

  def run(*argv):
    # config_flags looks for overrides in sys.argv.
    argv = ["main", *main.command_line(argv)]
    monkeypatch.setattr(sys, "argv", argv)
    try:
      return main.main(flags.FLAGS(sys.argv))
    finally:  # config_flags has added a flag for each override.
      for name in [f for f in flags.FLAGS if f.startswith("cfg.")]:
        delattr(flags.FLAGS, name)

  with flagsaver.flagsaver():
    yield run


# ml_collections 1.1 loads config files by a deprecated function.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize("config", [str(_PATH), "aligned"])
def test_command_line(command, world, tmp_path, capsys, config):
  out = tmp_path / "x.npz"
  argv = [
      config,
      f"--cfg.representations={world.representations}",
      f"--cfg.triplets={world.triplets}",
      f"--cfg.transform={world.transform}",
      f"--cfg.out={out}",
  ]
  assert command(*argv) == 0
  assert "211 triplets, aligned dot similarities" in capsys.readouterr().out
  assert len(npz.open(out)) == 211
  assert command(*argv) == 2
  assert "already exists" in capsys.readouterr().err
  assert command(*argv, "--cfg.overwrite=True") == 0
  for wrong, message in (
      ("stray", "expected one config"),
      ("--cfg.transfrom=t.npz", "did you mean transform"),
      ("--config=aligned", "--config is now called --cfg"),
      ("--cfg=demo", "expected one config"),
  ):
    with pytest.raises(AlignetError, match=message):
      command(*argv, wrong)
  with pytest.raises(AlignetError, match="the config of responses, found demo"):
    command("demo")
