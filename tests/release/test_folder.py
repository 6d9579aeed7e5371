"""What lies in a release, and that nothing is overwritten or half there."""

import csv
import hashlib
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys

from alignet import transforms
from alignet.cli import main
from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.pipeline.stages import release
from alignet.release import card as card_lib
from alignet.release import folder as folder_lib
from alignet.release import tables
from alignet.release import verify
from alignet.triplets import npz
import numpy as np
import pytest
from response_generation import respond
from tests.release import conftest

_TRANSFORMS = (
    "uncertainty_distillation",
    "untransformed",
    "untransformed-matched",
)


def _tree(folder):
  return {
      path.relative_to(folder).as_posix(): path.read_bytes()
      for path in folder.rglob("*")
      if path.is_file()
  }


def test_layout_is_upstreams(released):
  names = {p for p in _tree(released) if p.endswith(".npz")}
  assert names == {
      *("alignet_train.npz", "alignet_valid.npz", "clusters.npz"),
      "representations/labels.npz",
      "transforms/uncertainty_distillation/transform.npz",
      *(
          f"{transform}/{split}_{sampling}.npz"
          for transform in _TRANSFORMS
          for split in ("train", "val")
          for sampling in ("cluster_border_4", "within_class")
      ),
  }
  main_file = released / "uncertainty_distillation/val_cluster_border_4.npz"
  assert (released / "alignet_valid.npz").read_bytes() == main_file.read_bytes()
  assert len(npz.open(main_file)) == 40


def test_checksums_cover_every_file(released):
  tree = _tree(released)
  lines = tree.pop("SHA256SUMS").decode().splitlines()
  assert dict(line.split("  ")[::-1] for line in lines) == {
      path: hashlib.sha256(data).hexdigest() for path, data in tree.items()
  }


def test_tables_repeat_the_files(released):
  with open(released / "records/train.csv", newline="") as f:
    rows = list(csv.DictReader(f))
  opened = npz.open(released / "alignet_train.npz")
  assert len(rows) == 100
  for i, row in enumerate(rows):
    assert [row[f"filename{j}"] for j in range(3)] == list(opened.filenames[i])
    s = np.array([row[f"s{p}"] for p in ("01", "02", "12")], np.float32)
    np.testing.assert_array_equal(s, opened.similarities[i])
    assert [int(row[f"index{j}"]) for j in range(3)] == list(opened.indices[i])
  with open(released / "images.csv", newline="") as f:
    names = [row["filename"] for row in csv.DictReader(f)]
  np.testing.assert_array_equal(
      names, np.load(released / "representations/filenames.npy")
  )


def test_card_has_the_table_of_schema_org(released):
  text = (released / "README.md").read_text()

  class Parser(html.parser.HTMLParser):
    found = {}
    types = []
    at = None

    def handle_starttag(self, tag, attrs):
      attrs = dict(attrs)
      self.types.append(attrs.get("itemtype"))
      self.at = attrs.get("itemprop") if tag == "code" else self.at

    def handle_data(self, data):
      if self.at:
        self.found.setdefault(self.at, []).append(data)
        self.at = None

  parser = Parser()
  parser.feed(text[text.index("<div itemscope") :])
  assert "http://schema.org/Dataset" in parser.types
  assert "http://schema.org/Organization" in parser.types
  assert parser.found["name"] == ["AligNet triplets", conftest.CARD["provider"]]
  assert parser.found["url"] == [conftest.CARD["url"]]
  assert {"description", "citation", "license"} <= parser.found.keys()
  for path in ("alignet_train.npz", "untransformed/val_within_class.npz"):
    assert f"`{path}`" in text
  assert "nan" not in text


def test_no_path_of_this_machine_is_told(released, inputs):
  for name, data in _tree(released).items():
    said = [data]
    if name.endswith(".npz"):  # Their meta may be compressed.
      with np.load(released / name, allow_pickle=False) as f:
        said = [str(f["meta"]).encode()] if "meta" in f else []
    for place in (inputs.parent, released.parent):
      assert not any(str(place).encode() in text for text in said), name


def test_train_and_val_share_no_triplet(released):
  for sampling in ("cluster_border_4", "within_class"):
    train, val = (
        np.sort(
            npz.open(released / f"untransformed/{split}_{sampling}.npz").indices
        )
        for split in ("train", "val")
    )
    assert not set(map(tuple, train.tolist())) & set(map(tuple, val.tolist()))


def test_verified(released):
  found = verify.verify_release(released)
  assert found.ok
  assert [c.status for c in found.checks] == ["pass"] * 3
  for file in found.files:
    assert file["recomputed"].status == "pass", file.path
    assert file["sampling"].status == "pass", file.path
    assert file["filenames"].status == "pass", file.path


def test_nothing_is_overwritten_unless_asked(arguments, released, tmp_path):
  before = _tree(released)
  assert main.main([*arguments, f"--out={released}"]) == 2
  again = [*arguments, "--cfg.n_val=30", f"--work={tmp_path / 'work'}"]
  out = tmp_path / "r"
  out.mkdir()
  (out / "mine.txt").write_text("mine")
  assert main.main([*again, f"--out={out}", "--overwrite"]) == 2
  assert (out / "mine.txt").read_text() == "mine"
  shutil.rmtree(out)
  assert main.main([*again, f"--out={out}"]) == 0
  assert main.main([*again[:-2], again[-1], f"--out={out}", "--overwrite"]) == 0
  assert _tree(out) == before == _tree(released)


def test_what_broke_off_goes_on_to_the_same_bytes(
    arguments, released, tmp_path, monkeypatch
):
  out = tmp_path / "r"

  def broken(*args, **kwargs):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(tables, "of_triplets", broken)
    assert main.main([*arguments, f"--out={out}"]) == 130
  assert not out.exists()
  answers = list((tmp_path / "r.work/stages").glob("answers_*/*.npz"))
  assert len(answers) == 12
  times = {path: path.stat().st_mtime_ns for path in answers}
  assert main.main([*arguments, f"--out={out}"]) == 0
  assert {path: path.stat().st_mtime_ns for path in answers} == times
  assert _tree(out) == _tree(released)


# Forked in a process of its own: this one has threads of other libraries.
_KILL = """
import os, pathlib, signal, sys
from alignet.cli import main

arguments, folder = {arguments!r}, pathlib.Path({folder!r})

def start(moment, name, out):
  pid = os.fork()
  if pid:
    return os.waitpid(pid, 0)[1]
  real, calls = getattr(os, name), []
  def dying(*args):
    if len(calls) == moment:
      os.kill(os.getpid(), signal.SIGKILL)
    calls.append(args)
    real(*args)
  setattr(os, name, dying)
  os._exit(main.main([*arguments, f"--out={{out}}"]))

killed = 0
for name, step in (("fsync", 67), ("replace", 71)):
  for moment in range(0, 400, step):
    out = folder / f"{{name}}{{moment}}"
    code = start(moment, name, out)
    assert code in (0, signal.SIGKILL), code
    assert (code == 0) == out.exists(), (name, moment)
    if code == 0:
      break
    killed += 1
    assert start(None, name, out) == 0
  else:
    raise AssertionError("more writes than that")
print(killed)
"""


def test_kill_9_then_the_same_command(arguments, released, tmp_path):
  root = pathlib.Path(__file__).resolve().parent.parent.parent
  script = _KILL.format(arguments=arguments, folder=str(tmp_path))
  done = subprocess.run(
      [sys.executable, "-c", script],
      capture_output=True,
      text=True,
      timeout=600,
      cwd=root,
  )
  assert done.returncode == 0, done.stderr
  assert int(done.stdout) >= 4
  outs = [p for p in tmp_path.iterdir() if (p / "release.json").exists()]
  outs = [p for p in outs if not p.name.startswith(".")]
  assert len(outs) >= 4
  for out in outs:
    assert _tree(out) == _tree(released), out


def test_killed_after_the_last_answer_no_shards_are_left(
    inputs, released, tmp_path, monkeypatch
):
  made = released.with_name("r.work") / "stages"
  (triplets,) = made.glob("val_within_class-*/triplets.npz")
  arguments = {
      "representations": inputs / "representations",
      "triplets": triplets,
      "transforms": {"ud": inputs / "transform.npz"},
      "matched": "ud",
  }

  def killed(*args, **kwargs):
    raise KeyboardInterrupt

  real = shutil.rmtree
  for left in ("ud", "untransformed-matched"):
    out = tmp_path / left

    def rmtree(path, *args, left=left, **kwargs):
      if path.name == f"{left}.npz.shards":
        raise KeyboardInterrupt
      real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
      patch.setattr(shutil, "rmtree", rmtree)
      with pytest.raises(KeyboardInterrupt):
        release.answer(out, **arguments)
    assert (out / f"{left}.npz.shards").is_dir()
    release.answer(out, **arguments)
    assert len(list(out.iterdir())) == 3
    with monkeypatch.context() as patch:  # All is there: nothing is done.
      patch.setattr(respond, "respond_all", killed)
      release.answer(out, **arguments)


def test_the_inputs_are_copies(released, inputs):
  for there, here in (
      ("representations/features.npy", "representations/features.npy"),
      ("transforms/uncertainty_distillation/transform.npz", "transform.npz"),
  ):
    assert not (released / there).samefile(inputs / here)


def test_several_sources_have_folders(arguments, released, inputs, tmp_path):
  del arguments
  stages = released.with_name("r.work") / "stages"

  def source():
    answers = {"cluster_border_4": {}}
    for split in ("train", "val"):
      (found,) = stages.glob(f"answers_{split}_cluster_border_4-*")
      answers["cluster_border_4"][split] = found
    return folder_lib.Source(
        representations=inputs / "representations",
        clusters=next(stages.glob("clusters-*")) / "clusters.npz",
        transforms={"uncertainty_distillation": inputs / "transform.npz"},
        answers=answers,
    )

  out = tmp_path / "r"
  folder_lib.write(
      out,
      card_lib.check(_FIELDS),
      {"a-last": source(), "b-first": source()},
      main="uncertainty_distillation/cluster_border_4",
      class_level="subordinate",
  )
  assert (out / "b-first/untransformed/val_cluster_border_4.npz").is_file()
  assert (out / "a-last/representations/features.npy").is_file()
  assert not (out / "untransformed").exists()
  assert verify.verify_release(out).ok
  text = (out / "README.md").read_text()
  assert "a folder of its name: a-last, b-first" in text
  assert "**a-last**: numbers" in text and "**b-first**: numbers" in text
  for path in re.findall(r"`([^`]*(?:images\.csv|representations/))`", text):
    if path != "images.csv":  # "its own `images.csv`".
      assert list(out.glob(path)), path
  assert "with numbers:" in (out / "LICENSE.md").read_text()
  with pytest.raises(AlignetError, match="main set 'x/y' has no train file"):
    folder_lib.write(
        tmp_path / "s",
        card_lib.check(_FIELDS),
        {"a": source()},
        main="x/y",
        class_level="subordinate",
    )


_SEVERAL = """
from alignet.pipeline import recipe

def get_config():
  made = recipe.config(
      k=4,
      samplings=("cluster_border_4", "within_class"),
      n_train=300,
      n_val=40,
      transforms=("other",),
  )
  made.card.images = "made-up pictures"
  made.card.images_licence = "There are none."
  return made
"""


def test_transforms_law_store_exclusions_and_a_gallery(
    arguments, inputs, tmp_path
):
  (tmp_path / "several.py").write_text(_SEVERAL)
  np.save(tmp_path / "held.npy", np.array([8, 11]))
  transforms.save(tmp_path / "other.npz", transforms.identity(6))
  names = np.load(inputs / "representations/filenames.npy")
  rng = np.random.default_rng(0)
  images_lib.write(
      tmp_path / "images",
      images_lib.ImageStore(
          images=rng.integers(0, 255, (60, 8, 8, 3), np.uint8),
          filenames=names,
          labels={},
          meta={},
      ),
  )
  out = tmp_path / "r"
  flags = [
      *(a for a in arguments if "--cfg=" not in a),
      f"--cfg={tmp_path / 'several.py'}",
      f"--cfg.paths.transforms.other={tmp_path / 'other.npz'}",
      *("--cfg.law=images", "--cfg.store=bfloat16"),
      f"--cfg.exclude.images={tmp_path / 'held.npy'}",
      *('--cfg.exclude.classes=("c",)', "--cfg.n_train=200"),
      *("--cfg.rows=as_stored", "--cfg.columns=as_given"),
      f"--cfg.gallery.images=images:{tmp_path / 'images'}",
  ]
  assert main.main([*flags, f"--out={out}"]) == 0
  classes = np.arange(60) % 5
  for file in out.glob("*/*.npz"):
    if file.name.startswith(("train_", "val_")):
      opened = npz.open(file)
      assert not np.isin(opened.indices, [8, 11]).any(), file
      assert not (classes[opened.indices] == 2).any(), file
      assert opened.meta["triplets"]["law"] == "images"
      assert opened.meta["store"] == "bfloat16"
  assert (out / "other/val_within_class.npz").is_file()
  assert (out / "transforms/other/transform.npz").is_file()
  text = (out / "README.md").read_text()
  assert "60 images (14 held out)" in text and "images uniform" in text
  assert "other, uncertainty_distillation; rows multiplied in bfloat16" in text
  assert "![Triplets of each sampling" in text
  assert "not included, but for those in `gallery.png`" in text
  assert (out / "gallery.png").read_bytes().startswith(b"\x89PNG")
  assert "gallery.png" in (out / "SHA256SUMS").read_text()
  # Another content of the file that is left out is another sampling.
  np.save(tmp_path / "held.npy", np.array([9]))
  work = f"--work={tmp_path / 'r.work'}"
  assert main.main([*flags, f"--out={out}", work, "--overwrite"]) == 0
  assert (npz.open(out / "alignet_train.npz").indices == 8).any()
  wrong = [*flags, '--cfg.exclude.classes=("z",)', f"--out={tmp_path / 's'}"]
  assert main.main(wrong) == 2


def test_the_gallery_needs_the_same_images(arguments, inputs, tmp_path, capsys):
  images_lib.write(
      tmp_path / "images",
      images_lib.ImageStore(
          images=np.zeros((60, 8, 8, 3), np.uint8),
          filenames=np.array([f"{i}.png" for i in range(60)]),
          labels={},
          meta={},
      ),
  )
  spec = f"--cfg.gallery.images=images:{tmp_path / 'images'}"
  assert main.main([*arguments, spec, f"--out={tmp_path / 'r'}"]) == 2
  assert "what the representations were extracted from" in (
      capsys.readouterr().err
  )
  assert not (tmp_path / "r").exists()


_FIELDS = {
    "name": "N",
    **conftest.CARD,
    "licence": "https://example.org/l",
    "images": "I",
    "images_licence": "L",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"provider": ""}, "who releases it; pass --cfg.card.provider="),
        ({"date": "tomorrow"}, "YYYY-MM-DD, found 'tomorrow'"),
        ({"version": "1"}, "three numbers"),
        ({"url": "example.org"}, "card.url"),
    ],
)
def test_card_says_what_is_missing(change, message):
  card_lib.check(_FIELDS)
  with pytest.raises(AlignetError, match=message):
    card_lib.check(_FIELDS | change)


def test_the_card_is_checked_before_work(arguments, tmp_path, capsys):
  flags = [a for a in arguments if "card.provider=" not in a]
  assert main.main([*flags, f"--out={tmp_path / 'r'}"]) == 2
  assert "card.provider" in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


def test_another_config_is_refused(tmp_path, capsys):
  flags = ["release", "--cfg=pipeline/demo", f"--out={tmp_path / 'r'}"]
  assert main.main(flags) == 2
  assert "no release config" in capsys.readouterr().err


def test_dry_run(arguments, tmp_path, capsys):
  assert main.main([*arguments, f"--out={tmp_path / 'r'}", "--dry_run"]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 10 and lines[-1].startswith("release-")
  assert not list(tmp_path.iterdir())


def test_manifest_is_json(released):
  manifest = json.loads((released / "release.json").read_text())
  assert manifest["card"]["provider"] == conftest.CARD["provider"]
  assert manifest["files"][0]["path"] == "alignet_train.npz"
