"""Tests of alignet.io.config_files."""

import pathlib
import textwrap

from alignet.errors import AlignetError
from alignet.io import config_files
import pytest

_CONFIG = """
    import dataclasses
    import ml_collections

    @dataclasses.dataclass
    class Unused:
      x: "int" = 0

    def get_config():
      config = ml_collections.ConfigDict()
      config.seed = 0
      config.name = "world"
      config.missing = None
      config.teacher = ml_collections.ConfigDict(
          dict(rate=1e-3, steps=(1, 2), soft=True)
      )
      return config
"""


@pytest.fixture(name="root")
def _root(tmp_path, monkeypatch) -> pathlib.Path:
  """A folder of configs in place of the one that comes with alignet."""
  root = tmp_path / "configs"
  for name in ("one", "pipeline/demo", "student/small", "teacher/small"):
    path = root / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(_CONFIG))
  (root / "student/_shared.py").write_text("")
  monkeypatch.setattr(config_files, "folder", lambda: root)
  work = tmp_path / "work"
  work.mkdir()
  monkeypatch.chdir(work)
  return root


def test_names(root):
  del root
  assert config_files.names() == (
      *("one", "pipeline/demo", "student/small", "teacher/small"),
  )


@pytest.mark.parametrize(
    "name", ["demo", "demo.py", "pipeline/demo", "configs/pipeline/demo.py"]
)
def test_resolves_names(root, name):
  assert config_files.resolve(name) == root / "pipeline/demo.py"


def test_existing_file_wins(root):
  pathlib.Path("pipeline").mkdir()
  mine = pathlib.Path("pipeline/demo.py")
  mine.write_text("")
  assert config_files.resolve("pipeline/demo.py") == mine
  # A folder that happens to have the name of a config is no file.
  assert config_files.resolve("pipeline/demo") == root / "pipeline/demo.py"


@pytest.mark.parametrize(
    "name, message",
    [
        ("small", "choose one of student/small, teacher/small"),
        ("pipeline/dmo", "did you mean pipeline/demo"),
        ("smal", "did you mean student/small, teacher/small"),
        ("qqq", "the names are one, pipeline/demo"),
        ("_shared", "neither a file nor"),
        ("../configs/nowhere.py", "neither a file nor"),
    ],
)
def test_unknown_names(root, name, message):
  del root
  with pytest.raises(AlignetError, match=message):
    config_files.resolve(name)


@pytest.mark.parametrize(
    "item, key, value",
    [
        ("seed=3", "seed", 3),
        ("name=0.5", "name", "0.5"),
        ("name=a=b", "name", "a=b"),
        ("missing=out/x", "missing", "out/x"),
        ("missing=3", "missing", 3),
        ("teacher.rate=1", "teacher.rate", 1.0),
        ("teacher.steps=[3]", "teacher.steps", (3,)),
        ("teacher.soft=false", "teacher.soft", False),
    ],
)
def test_overrides(root, item, key, value):
  del root
  config = config_files.load("demo", [item])
  for part in key.split("."):
    config = config[part]
  assert config == value and type(config) is type(value)


def test_a_config_made_from_another(tmp_path):
  path = tmp_path / "twice.py"
  path.write_text("def get_config(cfg=None):\n  return {'of': cfg or 'own'}\n")
  assert config_files.load(path)["of"] == "own"
  assert config_files.load(path, ["of=x"], cfg="given")["of"] == "x"
  assert config_files.load(path, cfg="given")["of"] == "given"


def test_last_override_wins_and_the_next_load_is_fresh(root):
  del root
  assert config_files.load("demo", ["seed=1", "seed=2"]).seed == 2
  assert config_files.load("demo").seed == 0


@pytest.mark.parametrize(
    "item, message",
    [
        ("seed", "expected KEY=VALUE"),
        ("=1", "expected KEY=VALUE"),
        ("sed=1", "no key 'sed'; did you mean seed"),
        ("teacher.rat=1", "did you mean teacher.rate"),
        ("qqqq=1", "expected one of missing, name, seed, teacher"),
        ("seed.x=1", "seed is a value"),
        ("teacher=1", "a group of keys .rate, soft, steps."),
        ("seed=a", "expected a value of type int"),
        ("teacher.soft=3", "expected a value of type bool"),
        ("seed=True", "expected a value of type int"),
    ],
)
def test_wrong_overrides(root, item, message):
  del root
  with pytest.raises(AlignetError, match=message):
    config_files.load("demo", [item])


@pytest.mark.parametrize(
    "text, message",
    [
        ("x = (", "is not valid Python"),
        ("x = 1", r"defines no get_config\(\)"),
        ("\0", "is not valid Python"),
    ],
)
def test_files_that_are_no_config(root, text, message):
  path = root / "broken.py"
  path.write_text(text)
  with pytest.raises(AlignetError, match=message):
    config_files.load(path)


def test_sources_are_a_config_and_those_it_begins_from():
  names = lambda config: [p.stem for p in config_files.sources(config)]
  assert names("student/vit_b") == ["vit_b", "siglip_b"]
  assert names("student/small") == ["small", "siglip_b"]
  assert names("base") == ["base"]


def test_variants_of_a_config(tmp_path):
  dense = config_files.load("student/siglip_b:dense", ["aux.groups=3"])
  assert dense.aux.groups == 3
  assert config_files.load("siglip_b:dense").aux.groups == 64
  assert "groups" not in config_files.load("student/siglip_b").aux
  assert config_files.resolve("vit_b:dense").name == "vit_b.py"
  found = [p.stem for p in config_files.sources("student/vit_b:dense")]
  assert found == ["vit_b", "siglip_b"]
  path = tmp_path / "mine.py"
  path.write_text("def get_config(size, more=1): return {size: more}")
  assert config_files.load(f"{path}:large", more=2) == {"large": 2}
  path.write_text("def get_config(): return {}")
  for name, message in (
      (f"{path}:large", "mine has no variants, found 'large'"),
      ("base:dense", "base has no variants"),
      ("student/siglip_b:dens", "'dens' is not a variant; expected dense or"),
      ("student/siglip_x:dense", "did you mean"),
  ):
    with pytest.raises(AlignetError, match=message):
      config_files.load(name)
