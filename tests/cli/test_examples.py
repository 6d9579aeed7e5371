"""The examples that each `--help` ends in."""

import argparse
import pathlib
import re
import shlex

from alignet import models
from alignet.cli import flags
from alignet.cli import main
from alignet.data import image_folder
from alignet.data import images as images_lib
from alignet.data import linear_world
from alignet.data import shapes
from alignet.data.labels import Labels
from alignet.human import judgments as judgments_lib
from alignet.human import levels as levels_lib
from alignet.io import config_files
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import similarity
import cv2
import jax
import numpy as np
import pytest
from tests.human import simulated_levels

_MORE = {
    "alignet run --cfg=image_folder": "a network, and minutes",
    "alignet sweep --cfg=loss": "many trainings",
    "alignet fetch": "a network connection",
    "alignet extract --source=folder:photos": "a network",
    "alignet cache --source=tfds": "ImageNet",
    "alignet sample --clusters=clusters.npz": "ten million rows",
    "alignet release --cfg=imagenet": "ImageNet",
    "alignet vice --triplets=T.npy --n_objects=1854": "20,000 steps",
    "alignet budget --representations": "100 concepts",
    "alignet doctor": "half a minute; `tests/training/doctor`",
    "alignet evaluate student": "a run; `tests/cli/test_suite.py`",
    "alignet export --model=siglip-b16": "published weights",
    "alignet collect answers": "answers; `tests/cli/test_collect.py`",
    "alignet report": "a run; `tests/pipeline`",
}
"""Beginnings of examples that need more than small files, and what."""


def _parsers(parser):
  yield parser
  for action in parser._actions:
    if isinstance(action, argparse._SubParsersAction):
      for each in action.choices.values():
        yield from _parsers(each)


def _examples():
  for name in main.COMMANDS:
    for parser in _parsers(main.make_parser(name)):
      if parser.prog.split()[1:2] == [name]:
        heading, *lines = parser.epilog.replace("\\\n", " ").splitlines()
        assert heading == "examples:" and len(lines) >= 2, parser.prog
        yield from (" ".join(line.split()) for line in lines)


EXAMPLES = tuple(dict.fromkeys(_examples()))


def _documented():
  """(file, command) of what documents and configs print, placeholders apart."""
  for path in (
      _ROOT / "README.md",
      *sorted((_ROOT / "docs").glob("*.md")),
      *sorted((_ROOT / "configs").rglob("*.py")),
  ):
    text = path.read_text().replace("\\\n", " ")
    for command in re.findall(_COMMAND, text, re.MULTILINE):
      if "…" not in command:
        yield path.relative_to(_ROOT).as_posix(), " ".join(command.split())


_ROOT = pathlib.Path(__file__).parents[2]
_COMMAND = r"^ *((?:alignet|python -m (?:alignet|response_gen)\S*) [a-z-].*)$"
_FOLDERS = {
    "run": "pipeline/",
    "release": "pipeline/",
    "sweep": "ablations/",
    "respond": "response_generation/",
    "train": "",
}
"""Where configs of a command lie that go by a short name."""


@pytest.mark.parametrize(
    "where, example", [*(("help", e) for e in EXAMPLES), *_documented()]
)
def test_parses(where, example):
  del where
  program, *argv = shlex.split(example, comments=True)
  if program == "python":
    argv[:2] = ["train" if argv[1] == "alignet.train" else "respond"]
    argv = argv[: argv.index("--")] if "--" in argv else argv
  overrides, argv = config_files.split_overrides(argv)
  args = main.make_parser(argv[0]).parse_args(argv)
  if hasattr(args, "cfg") and (name := flags.config(args)):
    if not name.endswith(".py") and "/" not in name:
      name = _FOLDERS[argv[0]] + name
    if argv[0] == "sweep":
      config_files.resolve(name)
    else:
      config_files.load(name, overrides)


def test_what_needs_more_is_named_rightly():
  for beginning in _MORE:
    assert any(e.startswith(beginning) for e in EXAMPLES), beginning


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  """A folder with the files that the examples name."""
  folder = tmp_path_factory.mktemp("examples")
  drawn = shapes.make_world(0)
  rng = np.random.default_rng(0)
  concepts = np.repeat(np.arange(0, 108, 4), 20)
  pixels = shapes.render(drawn, concepts, seed=0, size=8)
  # The first are those that Levels' people saw, simulated.
  files = simulated_levels.images()
  files += [f"{i:04d}.png" for i in range(len(files), len(pixels))]
  for concept, name, image in zip(concepts, files, pixels):
    path = folder / "photos" / f"c{concept:03d}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])
  source = image_folder.FolderSource(folder / "photos")
  names = np.array([source[i].filename for i in range(len(source))])
  labels = shapes.levels(drawn, concepts)
  labels["concept"] = Labels(
      ids=np.repeat(np.arange(27), 20).astype(np.int32),
      names=np.array([f"c{i}" for i in range(27)]),
  )
  images_lib.write(
      folder / "test_images",
      images_lib.ImageStore(
          images=pixels, filenames=names, labels=labels, meta={}
      ),
  )
  # The student is of width 8.
  widths = {"representations": 42, "base": 42, "student_train": 8, "DIR": 42}
  for name, width in widths.items():
    z = drawn.embedding @ rng.normal(size=(drawn.embedding.shape[1], width))
    z = z[concepts] + 0.3 * rng.normal(size=(len(names), width))
    store.write(
        folder / name, z.astype(np.float32), names, labels, {"model": name}
    )
  model = models.VisionModel(
      backbone=models.ViT(
          patch_size=4, grid=(2, 2), width=8, depth=1, num_heads=2, mlp_dim=8
      ),
      triplet_dim=42,
  )
  params = model.init(jax.random.key(0), pixels[:1])["params"]
  (folder / "out" / "student").mkdir(parents=True)
  models.save(folder / "out" / "student" / "weights.safetensors", model, params)

  x, _, embedding = linear_world.make(30, 1, features=42, seed=0)
  soft = judgments_lib.from_embedding(embedding[:20])
  choices = judgments_lib.sample_choices(soft, seed=0).triplets
  np.save(folder / "F.npy", x)
  np.save(folder / "V.npy", embedding)
  np.save(folder / "T.npy", choices)
  np.save(folder / "R.npy", 1 - np.corrcoef(x))
  soft = judgments_lib.from_embedding(drawn.embedding[np.unique(concepts)])
  rows = judgments_lib.sample_choices(soft, seed=0).triplets
  lines = ["subject_id\timage1\timage2\timage3\tchoice"]
  lines += [f"A\t{i + 1}\t{j + 1}\t{k + 1}\t3" for i, j, k in rows]
  (folder / "choices.csv").write_text("\n".join(lines))

  triplets = np.stack([rng.permutation(len(names))[:3] for _ in range(2000)])
  features = store.open(folder / "representations").features
  s = similarity.of_triplets(features, triplets)
  (folder / "trials").mkdir()
  other = s + rng.normal(size=s.shape)
  for name, answers in (
      ("trials/a", s),
      ("aligned", s),
      ("untransformed", other),
  ):
    npz.write(folder / f"{name}.npz", names, triplets, answers)
  assert not main.main(
      [
          *(
              "sample",
              f"--representations={folder}/representations",
              "--n=2000",
          ),
          *("--level=basic", "--strategy=random", "--quiet"),
          f"--out={folder}/triplets.npz",
      ]
  )
  (folder / "levels").mkdir()
  levels, _ = levels_lib.from_trials(simulated_levels.participants(6, 8))
  levels_lib.write(folder / "levels" / "levels.npz", levels, {})
  return folder


_ORDER = (
    *("extract", "cache", "cluster", "sample", "teach", "vice", "budget"),
    *("respond", "verify", "recover", "evaluate", "compare", "collect"),
    *("export", "run", "sweep", "release", "train"),
)


@pytest.mark.slow
def test_run(world, monkeypatch, capsys):
  """What one makes another one reads."""
  monkeypatch.chdir(world)
  done = set()
  wanted = [e for e in EXAMPLES if not e.startswith(tuple(_MORE))]
  # A page shows what was mined.
  wanted.sort(key=lambda e: (_ORDER.index(e.split()[1]), " page " in e))
  for example in wanted:
    argv = shlex.split(example)[1:]
    out = next((a[6:] for a in argv if a.startswith("--out=")), None)
    again = out and out in done and pathlib.Path(out).exists()
    overwrite = ["--overwrite"] * bool(again)
    assert (
        main.main([*argv, *overwrite]) == 0
    ), f"{example}: {capsys.readouterr().err}"
    done.add(out)
  assert len(done) > 20
