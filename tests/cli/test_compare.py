"""`alignet compare`, through the entry point: whole, and with parts missing."""

import json
import re

from alignet import transforms
from alignet.cli import main as cli
from alignet.data import images as images_lib
from alignet.data.labels import Labels
from alignet.representations import store
from alignet.triplets import npz
import numpy as np
import pytest


@pytest.fixture(name="world")
def _world(tmp_path, monkeypatch):
  """Two models of 48 images of 8 classes in 2 groups, their evaluation."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(cli, "COMMANDS", ("evaluate", "compare"))
  rng = np.random.default_rng(0)
  fine = np.repeat(np.arange(8), 6)
  names = np.array([f"{i}.png" for i in range(48)])
  labels = {
      "subordinate": Labels(
          ids=fine, names=np.array([f"class{i}" for i in range(8)])
      ),
      "superordinate": Labels(ids=fine // 4, names=np.array(["left", "right"])),
  }
  centres = (
      rng.normal(size=(8, 12)) + 2 * rng.normal(size=(2, 12))[np.arange(8) // 4]
  )
  for model, noise in (("good", 0.3), ("bad", 2)):
    x = centres[fine] + noise * rng.normal(size=(48, 12))
    store.write(model, x.astype(np.float32), names, labels, {"model": model})
  bare = store.open("good")
  one = Labels(ids=np.zeros(48, np.int32), names=np.array(["all"]))
  store.write("bare", bare.features, names, {}, {})
  store.write("one", bare.features, names, {"basic": one}, {})
  images_lib.write(
      "images",
      images_lib.ImageStore(
          images=rng.integers(0, 255, (48, 8, 8, 3), dtype=np.uint8),
          filenames=names,
          labels=labels,
          meta={},
      ),
  )
  triplets = np.stack([rng.permutation(48)[:3] for _ in range(200)])
  npz.write("t.npz", names, triplets, rng.normal(size=(200, 3)))
  _run(
      *("evaluate", "representations", "--representations=good"),
      *("--baseline=bad", "--trials=human=t.npz", "--resamples=20"),
      *("--hierarchy=subordinate,superordinate", "--out=scores.json"),
  )
  return tmp_path


def _run(*args):
  assert cli.main([*args, "--quiet"]) == 0


_MODELS = ("--representations=new=good", "--baseline=old=bad")


def _page(folder="out"):
  text = open(f"{folder}/report.html", encoding="utf-8").read()
  return re.findall(r"<h2[^>]*>(.*?)</h2>", text), text


def test_everything(world):
  args = ("compare", "--scores=scores.json", *_MODELS, "--source=images:images")
  _run(*args, "--trials=people=t.npz", "--out=out")
  titles, text = _page()
  assert titles == [
      "Summary",
      "Agreement with people",
      "Distances in the hierarchy of classes",
      "Centred kernel alignment",
      "Matrices, maps and trees of classes",
      "Pairs on which the models differ most",
      "Triplets on which the models differ most",
      "Provenance",
  ]
  assert "became more human" in text and 'src="http' not in text
  # Each picture says what it shows; one a triplet.
  alts = re.findall(r'alt="([^"]*)"', text)
  assert all(alts) and sum("Odd one out: people, the" in a for a in alts) == 12
  result = json.loads((world / "out" / "comparison.json").read_text())
  assert (
      result["scores"]
      == json.loads((world / "scores.json").read_text())["scores"]
  )
  assert result["names"] == ["new", "old"]
  pairs = result["shown"]["pairs"]
  assert {p["closer_to"] for p in pairs} == {"new", "old"}
  for p in pairs:
    sign = 1 if p["closer_to"] == "new" else -1
    assert sign * (p["z"][0] - p["z"][1]) > 0
  for t in result["shown"]["triplets"]:
    assert set(t["odd"]) == {"new", "old"} and len(set(t["odd"].values())) == 2
    assert set(t["odd"].values()) <= set(t["images"])
  tex = (world / "out" / "tables.tex").read_text()
  assert tex.count(r"\begin{table}") == 3 and "+" in tex


@pytest.mark.parametrize(
    "args, wanted",
    [
        ((), {"Summary", "Agreement with people"}),
        (("--representations=good",), {"Matrices, maps and trees of classes"}),
        (_MODELS, {"Matrices, maps and trees of classes"}),
        (
            (*_MODELS, "--source=images:images", "--hierarchy=superordinate"),
            {
                "Pairs on which the models differ most",
                "Triplets on which the models differ most",
            },
        ),
    ],
)
def test_what_is_missing_is_left_out(world, args, wanted):
  del world
  _run("compare", "--scores=scores.json", *args, "--out=out")
  titles, _ = _page()
  assert wanted <= set(titles)
  assert ("Triplets on which the models differ most" in titles) == (
      "--source=images:images" in args
  )


@pytest.mark.parametrize("which", ["bare", "one"])
def test_without_classes_or_scores_of_people(world, which):
  _run(
      *("evaluate", "representations", f"--representations={which}"),
      *("--trials=synthetic=t.npz", "--resamples=0", "--out=bare.json"),
  )
  _run(
      *("compare", "--scores=bare.json", f"--representations={which}"),
      "--out=out",
  )
  titles, text = _page()
  assert titles == ["Agreement with AligNet&#39;s own responses", "Provenance"]
  assert "nothing here says that it became more human" in text
  del world


@pytest.mark.parametrize(
    "args, message",
    [
        (("--representations=bad",), "computed on other representations than"),
        (("--baseline=bad",), "expected --representations of one model"),
        (("--representations=no",), "--representations: no does not exist"),
        (
            ("--representations=a=good", "--baseline=a=bad"),
            "two different names of models, found 'a' twice",
        ),
        (
            ("--representations=good", "--representations=bad", "--baseline=x"),
            "expected --representations of one model",
        ),
        (
            ("--representations=good", "--hierarchy=basic"),
            "no labels of the level 'basic'",
        ),
        (
            (*_MODELS, "--source=images:images", "--trials=t.npz"),
            "expected NAME=PATH",
        ),
    ],
)
def test_one_sentence(world, capsys, args, message):
  assert cli.main(["compare", "--scores=scores.json", *args, "--out=o"]) == 2
  error = capsys.readouterr().err
  assert message in error and error.count("\n") == 1
  assert not (world / "o").exists()


def test_only_what_was_scored(world, capsys):
  """Transforms by their bytes, and no baseline that has no scores."""
  rng = np.random.default_rng(1)
  for name in ("t1.npz", "t2.npz"):
    transforms.save(
        world / name,
        transforms.Transform(
            weights=rng.normal(size=(12, 3)),
            bias=np.zeros(3),
            meta={"columns": store.open(world / "good").columns},
        ),
    )
  _run(
      *("evaluate", "representations", "--representations=good"),
      *("--transform=t1.npz", "--trials=synthetic=t.npz", "--resamples=0"),
      "--out=moved.json",
  )
  compare = ["compare", "--scores=moved.json", "--representations=good"]
  for flags, message in (
      ((), "was computed with another, found none"),
      (
          ("--transform=t2.npz",),
          "--transform: moved.json was computed with another",
      ),
      (
          ("--transform=t1.npz", "--baseline=bad"),
          "computed without baseline; leave bad",
      ),
  ):
    assert cli.main([*compare, *flags, "--out=o"]) == 2
    assert message in capsys.readouterr().err
  _run(*compare, "--transform=t1.npz", "--out=o")
  assert (
      cli.main(
          [
              *("compare", "--scores=scores.json", *_MODELS, "--out=p"),
              "--baseline_transform=t1.npz",
          ]
      )
      == 2
  )
  assert (
      "--baseline_transform: scores.json was computed without"
      in capsys.readouterr().err
  )


def test_galleries_say_why_they_are_empty(world):
  args = ("--representations=good", "--baseline=good", "--resamples=0")
  _run(
      *("evaluate", "representations", *args, "--trials=synthetic=t.npz"),
      "--out=same.json",
  )
  _run(
      *("compare", "--scores=same.json", *args[:2], "--out=out"),
      "--source=images:images",
  )
  titles, text = _page()
  assert "Triplets on which the models differ most" in titles
  assert "both models choose the same odd one" in text
  shown = json.loads((world / "out" / "comparison.json").read_text())["shown"]
  assert shown == {"pairs": [], "triplets": []}


def test_replaces_its_own_kind_only(world, capsys):
  (world / "out").mkdir()
  (world / "out" / "thesis.txt").write_text("x")
  args = ["compare", "--scores=scores.json", "--out=out", "--overwrite"]
  assert cli.main(args) == 2
  assert "is no folder with comparison.json" in capsys.readouterr().err
  assert (world / "out" / "thesis.txt").exists()
  (world / "out" / "comparison.json").write_text('{"names": []}')
  assert cli.main(args) == 2
  assert "holds thesis.txt" in capsys.readouterr().err
  (world / "out" / "thesis.txt").unlink()
  pages = []
  for _ in range(2):
    _run(*args)
    pages.append((world / "out" / "report.html").read_bytes())
  assert pages[0] == pages[1]
