"""Sampling rules by name, and rules of one's own."""

import hashlib
import pathlib

from alignet.cli import main
from alignet.errors import AlignetError
from alignet.triplets import sampling
import numpy as np
import pytest


@pytest.mark.parametrize(
    ("name", "rule", "labels", "clusters"),
    [
        ("between_class", "between", "class", None),
        ("class_border", "border", "class", None),
        ("within_class", "within", "class", None),
        ("cluster_border_500", "border", "cluster", 500),
        ("cluster_border_7", "border", "cluster", 7),
        ("random", "random", "any", None),
        ("within", "within", "any", None),
    ],
)
def test_parse(name, rule, labels, clusters):
  assert sampling.parse(name) == sampling.Strategy(
      name=name,
      rule=sampling.RULES[rule],
      labels=labels,
      clusters=clusters,
  )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cluster_border_k",
        "cluster_border_K",
        "cluster_border_0",
        "cluster_border_",
        "Random",
    ]
    + ["cluster_border_5\n", "cluster_border_-5", "class_between"],
)
def test_unknown_names_list_the_known_ones(name):
  with pytest.raises(AlignetError) as e:
    sampling.parse(name)
  for known in sampling.NAMES:
    assert known in str(e.value)


_NEAR = """
import numpy as np
from alignet.triplets import sampling

def draw(groups, by_groups, u):
  g = sampling.integers(u[:, 0], len(groups.sizes) - 1)
  pair = sampling.different(u[:, 1:3], groups.sizes[g])
  pair += groups.offsets[g, None]
  odd = groups.offsets[g + 1] + sampling.integers(u[:, 3], groups.sizes[g + 1])
  return np.column_stack([pair, odd])

NEAR = sampling.Rule(
    name="near", says="two of a group, one of the next",
    min_groups=2, min_images=2, draw=draw,
    holds=lambda a, b, c: (a == b) & (c == b + 1) | (b == c) & (a == b - 1),
)
WRONG = sampling.Rule(
    name="border", says="", min_groups=2, min_images=2, draw=draw,
    holds=lambda a, b, c: a == c,
)
OUTSIDE = sampling.Rule(
    name="outside", says="", min_groups=1, min_images=1,
    draw=lambda groups, _, u: np.tile([0, 1, len(groups.of)], (len(u), 1)),
    holds=lambda a, b, c: a == a,
)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path("mine.py").write_text(_NEAR)
  np.save("L.npy", np.arange(60) % 7)
  return tmp_path


def test_a_rule_of_one_s_own(folder, capsys):
  command = ["sample", "--labels=L.npy", "--n=500", "--quiet", "--out=t.npz"]
  assert not main.main([*command, "--strategy=mine.py:NEAR"])
  rows, meta = sampling.read("t.npz")
  labels = np.arange(60) % 7
  a, b, c = labels[rows].T
  assert (a == b).all() and (c == a + 1).all()
  assert meta["strategy"] == "mine.py:NEAR" and meta["rule"] == "near"
  digest = hashlib.sha256(pathlib.Path("mine.py").read_bytes()).hexdigest()
  assert meta["rule_sha256"] == digest
  near = sampling.find("mine.py:NEAR").rule
  np.testing.assert_array_equal(
      sampling.sample(labels, near, 500, seed=0), rows
  )
  assert near.obeyed(labels[rows[:, ::-1]]).all()
  assert not near.obeyed(np.array([[0, 0, 2], [1, 1, 1], [-1, -1, 0]])).any()
  for name, message in (
      ("WRONG", "expected rows of three images that it allows"),
      ("OUTSIDE", "it drew the positions .0, 1, 60."),
      ("np", "expected np in mine.py to be a sampling.Rule, found module"),
      ("FAR", "found NoneType"),
  ):
    assert main.main([*command, f"--strategy=mine.py:{name}"]) == 2
    capsys.readouterr()
    with pytest.raises(AlignetError, match=message):
      sampling.sample(labels, f"mine.py:{name}", 9, seed=0)
  for text, message in (("1 / 0", "ZeroDivisionError"), ("1 +", "SyntaxError")):
    (folder / "bad.py").write_text(text)
    with pytest.raises(AlignetError, match=f"bad.py cannot be run: {message}"):
      sampling.find("bad.py:NEAR")
  with pytest.raises(AlignetError, match="FileNotFoundError"):
    sampling.find("none.py:NEAR")


def test_data_do_not_say_what_is_run(folder):
  with pytest.raises(AlignetError, match="unknown sampling strategy"):
    sampling.parse("mine.py:NEAR")


def test_help_and_documents_have_every_rule(capsys):
  with pytest.raises(SystemExit):
    main.make_parser("sample").parse_args(["sample", "--help"])
  shown = " ".join(capsys.readouterr().out.split())
  docs = pathlib.Path(__file__).parents[3] / "docs"
  written = " ".join((docs / "own_images.md").read_text().split())
  for rule in sampling.RULES.values():
    assert f"{rule.name} ({rule.says})" in shown
    assert f"| `{rule.name}` | {rule.says} |" in written
  for name in sampling.NAMES:
    assert name in shown and name in written
