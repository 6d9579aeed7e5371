"""What is wrong in a file that can be read: each check, and what it says."""

import json

from alignet import transforms
from alignet.errors import AlignetError
from alignet.release import verify
from alignet.release.verify import names
from alignet.triplets import layout
from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets import similarity
import numpy as np
import pytest
from tests.release.verify import good_file

_FIGURES = {"duplicates", "images", "labels"}


def _at(key, row, value):
  """A change of one row of an array."""

  def change(arrays):
    array = arrays[key].copy()
    array[row] = value
    return array

  return change


def _statuses(verification):
  return {check.name: check.status for check in verification.checks}


def test_a_good_file_passes_every_check(path):
  verification = verify.verify(path, **good_file.ALL)
  assert verification.ok and verification.n == 200
  statuses = _statuses(verification)
  assert {k for k, v in statuses.items() if v == "info"} == _FIGURES
  for name in _FIGURES:
    del statuses[name]
  assert set(statuses) == {
      *("keys", "shapes", "dtypes", "rows", "range", "distinct", "finite"),
      *("odd_last", "readme_order", "sorted", "scale", "target_entropy"),
      *("same_name", "filenames", "sampling", "meta", "recomputed"),
  }
  assert set(statuses.values()) == {"pass"}
  for check in verification.checks:
    assert check.message and "\n" not in check.message
  as_json = json.loads(json.dumps(verification.to_json()))
  assert as_json["ok"] and as_json["checks"][0]["name"] == "keys"


def test_what_was_not_given_is_skipped(path):
  statuses = _statuses(verify.verify(path))
  skipped = {name for name, status in statuses.items() if status == "skipped"}
  assert skipped == {"filenames", "sampling", "recomputed"}


# One change a row, with the checks that change their status by it; `first` is
# the row that the message must name.
_CHANGES = {
    "key": ({"filenames": None}, {"keys": "fail"}),
    "shape": (
        {"similarities": lambda a: a["similarities"][:-1]},
        {"shapes": "fail"},
    ),
    "flat": ({"indices": lambda a: a["indices"].ravel()}, {"shapes": "fail"}),
    "integer similarities": (
        {"similarities": lambda a: a["similarities"].astype(int)},
        {"dtypes": "fail"},
    ),
    "float64": (
        {"similarities": lambda a: a["similarities"].astype(float)},
        {"dtypes": "warn"},
    ),
    "pickle": (
        {"filenames": lambda a: a["filenames"].astype(object)},
        {"dtypes": "fail"},
    ),
    "negative": ({"indices": _at("indices", 7, [0, 1, -1])}, {"range": "fail"}),
    "too large": (
        {"indices": _at("indices", 7, [0, 1, good_file.N])},
        {"range": "fail"},
    ),
    "repeated": (
        {"indices": _at("indices", 7, [3, 3, 1])},
        {"distinct": "fail"},
    ),
    "nan": (
        {"similarities": _at("similarities", 7, np.nan)},
        {
            "finite": "fail",
            **dict.fromkeys(
                (
                    *("odd_last", "readme_order", "sorted"),
                    *("scale", "target_entropy"),
                ),
                "skipped",
            ),
        },
    ),
}


@pytest.mark.parametrize("name", sorted(_CHANGES))
def test_each_fault_is_found(rewrite, name):
  changes, expected = _CHANGES[name]
  path = rewrite(**changes)
  verification = verify.verify(path, **good_file.ALL)
  statuses = _statuses(verification)
  unusual = {
      k: v for k, v in statuses.items() if v != "pass" and k not in _FIGURES
  }
  assert unusual == expected
  assert verification.ok == ("fail" not in expected.values())
  for check in verification.checks:
    if check.status == "fail" and check.name in ("range", "distinct", "finite"):
      assert "1 of 200 rows, first in row 7" in check.message


def _swap(a, b):
  """Swaps two positions in rows 5 and 9 of all arrays, consistently."""
  order = np.arange(3)
  order[[a, b]] = order[[b, a]]

  def changes(arrays):
    out = {k: v.copy() for k, v in arrays.items()}
    for key in ("indices", "filenames"):
      out[key][[5, 9]] = arrays[key][[5, 9]][:, order]
    out["similarities"][[5, 9]] = layout.permute_similarities(
        arrays["similarities"][[5, 9]], order
    )
    return out

  return {key: lambda arrays, key=key: changes(arrays)[key] for key in npz.KEYS}


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ((0, 1), {"readme_order": "warn", "sorted": "info"}),
        ((1, 2), {"odd_last": "fail", "sorted": "info"}),
        (
            (0, 2),
            {"odd_last": "fail", "readme_order": "warn", "sorted": "info"},
        ),
    ],
)
def test_order_of_rows(rewrite, positions, expected):
  path = rewrite(**_swap(*positions))
  statuses = _statuses(verify.verify(path, **good_file.ALL))
  order = ("odd_last", "readme_order", "sorted")
  assert {k: statuses[k] for k in order} == {
      **dict.fromkeys(order, "pass"),
      **expected,
  }
  # Everything else holds in any order of a row.
  others = {k: v for k, v in statuses.items() if k not in order}
  assert set(others.values()) == {"pass", "info"}


def test_ties_are_in_order_up_to_information(rewrite):
  tied = lambda a: np.ones_like(a["similarities"])
  backwards = lambda a: np.sort(a["indices"], axis=1)[:, ::-1]
  path = rewrite(
      similarities=tied,
      indices=backwards,
      filenames=lambda a: good_file.NAMES[backwards(a)],
  )
  verification = verify.verify(path)
  assert verification.ok
  assert verification["odd_last"].status == "pass"
  assert verification["readme_order"].status == "pass"
  assert verification["sorted"].status == "info"
  assert "200 of 200" in verification["sorted"].message


def test_a_name_that_changes(rewrite):
  path = rewrite(filenames=_at("filenames", 7, ["x", "y", "z"]))
  verification = verify.verify(path)
  assert verification["same_name"].status == "fail"
  assert verification["filenames"].status == "skipped"
  verification = verify.verify(path, image_filenames=good_file.NAMES)
  assert verification["filenames"].status == "fail"
  assert "first in row 7" in verification["filenames"].message


def test_a_name_that_changes_from_block_to_block(rewrite, monkeypatch):
  monkeypatch.setattr(names, "BLOCK", 10)
  late = np.arange(200)[:, None] >= 190
  path = rewrite(
      filenames=lambda a: np.where(
          late, np.char.add("x", a["filenames"]), a["filenames"]
      )
  )
  check = verify.verify(path)["same_name"]
  assert check.status == "fail" and "first in row 190" in check.message


def test_another_order_of_the_dataset_is_joined_by_name(path):
  order = np.random.default_rng(0).permutation(good_file.N)
  other = {
      "image_filenames": good_file.NAMES[order],
      "labels": good_file.LABELS[order],
      "features": good_file.FEATURES[order],
  }
  verification = verify.verify(path, **(good_file.ALL | other))
  assert verification.ok
  assert verification["filenames"].status == "warn"
  assert "another order" in verification["filenames"].message
  assert verification["sampling"].status == "pass"
  assert verification["recomputed"].status == "pass"
  opened = npz.open(path)
  joined = verify.join(opened, good_file.NAMES[order])
  np.testing.assert_array_equal(
      good_file.NAMES[order][joined], opened.filenames
  )
  # Labels and features in the old order are those of other images.
  wrong = verify.verify(
      path, **(good_file.ALL | {"image_filenames": good_file.NAMES[::-1]})
  )
  assert wrong["recomputed"].status == "fail"


_GAPS = {
    "one missing": [3],
    "three missing": [3, 17, 40],
    "one too many": [],
}


@pytest.mark.parametrize("name", _GAPS)
def test_numbers_that_slip_are_no_other_order(rewrite, name):
  gaps = _GAPS[name]
  dataset = np.insert(
      good_file.NAMES, [g - i for i, g in enumerate(gaps)], "new"
  )
  if not gaps:  # The file numbers an image that the dataset lacks.
    rows = np.array([[0, 1, 2], [0, 5, 9], [7, 11, 30], [12, 40, 59]])
    path = rewrite(
        indices=rows,
        filenames=good_file.NAMES[rows],
        similarities=np.array([[3, 2, 1]] * 4, np.float32),
    )
    dataset = np.append(np.delete(good_file.NAMES, 4), "new")
  else:
    path = rewrite()
  check = verify.verify(path, image_filenames=dataset)["filenames"]
  assert check.status == "fail"
  assert "images are missing, or too many" in check.message


def test_two_halves_of_a_dataset_in_the_other_order(path):
  dataset = np.concatenate([good_file.NAMES[20:], good_file.NAMES[:20]])
  check = verify.verify(path, image_filenames=dataset)["filenames"]
  assert check.status == "fail"


def test_a_dataset_of_fewer_images(path):
  verification = verify.verify(path, image_filenames=good_file.NAMES[:30])
  assert verification["range"].status == "fail"


def test_join_needs_every_name(rewrite):
  path = rewrite(filenames=_at("filenames", 7, ["x", "y", "z"]))
  with pytest.raises(AlignetError, match="file names of"):
    verify.join(npz.open(path), good_file.NAMES)


def test_classes_from_the_names_of_imagenet(tmp_path):
  names_ = np.array(
      [f"n{1440764 + i % 6:08d}_{i}.JPEG" for i in range(good_file.N)]
  )
  rows = sampling.sample(good_file.LABELS, "within", 50, seed=0)
  s = similarity.of_triplets(good_file.TRANSFORM(good_file.FEATURES), rows)
  npz.write(tmp_path / "a.npz", names_, rows, s)

  def status(rule, path=tmp_path / "a.npz"):
    found = verify.verify(path, rule=rule, classes_from_names=True)
    return found["sampling"].status

  assert status("within") == "pass"
  assert status("between") == "fail"


def test_classes_are_not_in_other_names(path):
  found = verify.verify(path, rule="within", classes_from_names=True)
  assert found["sampling"].status == "skipped"


def test_names_shared_by_images(rewrite):
  path = rewrite(filenames=np.full((200, 3), "same"))
  verification = verify.verify(path)
  assert verification.ok and verification["same_name"].status == "warn"
  assert "share 1 names" in verification["same_name"].message


@pytest.mark.parametrize("rule", ["between", "within"])
def test_another_rule(path, rule):
  check = verify.verify(path, labels=good_file.LABELS, rule=rule)["sampling"]
  assert check.status == "fail" and "200 of 200" in check.message


def test_one_row_against_the_rule(rewrite):
  path = rewrite(indices=_at("indices", 7, [0, 6, 12]))
  check = verify.verify(path, labels=good_file.LABELS, rule="border")[
      "sampling"
  ]
  assert check.status == "fail" and "1 of 200" in check.message


def test_duplicates_are_counted_in_any_order(rewrite):
  rng = np.random.default_rng(0)
  rows = np.stack([rng.permutation(14)[:3] for _ in range(200)])
  repeated = 200 - len({frozenset(row) for row in rows.tolist()})
  assert 30 < repeated < 170
  for offset in (0, 2**22):  # Above, three numbers do not fit 64 bits.
    path = rewrite(indices=rows + offset)
    check = verify.verify(path)["duplicates"]
    assert check.status == "info"
    assert check.message.startswith(f"{repeated} of 200 rows")


@pytest.mark.parametrize(
    ("scale", "status", "word"),
    [
        (1.0, "pass", "nats"),
        (1e3, "warn", "one-hot"),
        (1e-3, "warn", "uniform"),
    ],
)
def test_entropy(rewrite, scale, status, word):
  path = rewrite(similarities=lambda a: a["similarities"] * np.float32(scale))
  check = verify.verify(path)["target_entropy"]
  assert check.status == status and word in check.message


def test_recomputed_similarities(rewrite, path):
  other = transforms.identity(8)
  check = verify.verify(path, features=good_file.FEATURES, transform=other)
  assert check["recomputed"].status == "fail"
  check = verify.verify(path, features=good_file.FEATURES)  # Untransformed.
  assert check["recomputed"].status == "fail"
  path = rewrite(
      similarities=lambda a: a["similarities"]
      + np.abs(a["similarities"]).max() * np.float32(2e-3)
  )
  assert verify.verify(path, **good_file.ALL)["recomputed"].status == "fail"


def test_untransformed_similarities(tmp_path):
  rows = sampling.sample(good_file.LABELS, "random", 50, seed=0)
  s = similarity.of_triplets(good_file.FEATURES, rows)
  npz.write(tmp_path / "a.npz", good_file.NAMES, rows, s)
  for features in (good_file.FEATURES, good_file.FEATURES.astype(np.float16)):
    check = verify.verify(tmp_path / "a.npz", features=features)
    assert check["recomputed"].status == "pass"


def test_empty_file(tmp_path):
  none = np.zeros((0, 3))
  npz.write(tmp_path / "a.npz", good_file.NAMES, none.astype(int), none)
  verification = verify.verify(tmp_path / "a.npz", **good_file.ALL)
  assert not verification.ok and verification.n == 0
  assert verification["rows"].status == "fail"


def test_a_number_too_large_for_tables(rewrite):
  path = rewrite(indices=_at("indices", 7, [0, 1, 2_000_000_000]))
  check = verify.verify(path)["range"]
  assert check.status == "fail" and "first in row 7" in check.message


def test_labels_far_apart(path):
  labels = good_file.LABELS * 10**12
  check = verify.verify(path, labels=labels, rule="border")["labels"]
  assert check.message.startswith("6 of 6 groups")
  labels = np.full(good_file.N, -1)
  verification = verify.verify(path, labels=labels, rule="border")
  assert verification["sampling"].status == "fail"
  assert verification["labels"].message == "0 of 0 groups"


@pytest.mark.parametrize(
    "given",
    [
        {"labels": np.ones(good_file.N)},
        {"rule": "border_", "labels": good_file.LABELS},
        {"features": good_file.FEATURES, "transform": transforms.identity(3)},
    ],
)
def test_arguments_that_cannot_be(path, given):
  with pytest.raises(AlignetError):
    verify.verify(path, **given)
