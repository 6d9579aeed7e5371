"""Tests of uncertainty_distillation.readers."""

import gzip
import itertools

from alignet.data import things
from alignet.errors import AlignetError
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from uncertainty_distillation import readers

_CONCEPTS = ["ape", "bee", "cat", "dog", "elk"]
_HEADER = (
    *("image1", "image2", "image3", "choice", "RT", "noise_ceiling"),
    *("subject_id", "HIT_nr"),
)
_ROWS = [
    # The same answer of B twice, in another order; then another answer of B.
    (1, 2, 3, 3, 900, 0, "B", 7),
    (5, 1, 2, 1, 900, 0, "A", 7),
    (4, 2, 1, 2, 900, 2, "B", 8),
    (1, 2, 4, 2, 900, 2, "B", 9),
    (1, 2, 4, 3, 900, 2, "B", 9),
    (1, 2, 4, 2, 900, 3, "C", 9),
]
_LAST = [[0, 1, 2], [0, 1, 4], [3, 0, 1], [0, 3, 1], [0, 1, 3], [0, 3, 1]]


def _csv(path, rows, header=_HEADER):
  lines = ["\t".join(map(str, row)) for row in [header, *rows]]
  text = "\n".join(lines) + "\n"
  if path.suffix == ".gz":
    path.write_bytes(gzip.compress(text.encode()))
  else:
    path.write_text(text)
  return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_things_csv(tmp_path, name):
  choices = readers.read_things_csv(_csv(tmp_path / name, _ROWS), _CONCEPTS)
  assert choices.triplets.dtype == np.int32 and choices.n_concepts == 5
  np.testing.assert_array_equal(choices.triplets, _LAST)
  assert choices.participant_ids[choices.participant].tolist() == list("BABBBC")
  assert choices.session.tolist() == [7, 7, 8, 9, 9, 9]
  assert choices.repeat_set.tolist() == [0, 0, 2, 2, 2, 3]
  assert choices.report == readers.Report(
      rows=6, impossible=0, unknown=0, repeated=1
  )
  judgments = choices.judgments()
  np.testing.assert_array_equal(judgments.triplets, _LAST)
  assert (judgments.probabilities == [1, 0, 0]).all()
  assert judgments.n_concepts == 5


def test_columns_in_another_order_and_none_but_those_needed(tmp_path):
  keep = [6, 3, 2, 1, 0]
  choices = readers.read_things_csv(
      _csv(
          tmp_path / "t.csv",
          [[row[i] for i in keep] for row in _ROWS],
          [_HEADER[i] for i in keep],
      ),
      _CONCEPTS,
  )
  np.testing.assert_array_equal(choices.triplets, _LAST)
  assert choices.session is None and choices.repeat_set is None


def test_blocks_make_no_difference(tmp_path, monkeypatch):
  path = _csv(tmp_path / "t.csv", _ROWS)
  whole = readers.read_things_csv(path, _CONCEPTS)
  monkeypatch.setattr(readers, "_BLOCK", 4)
  parts = readers.read_things_csv(path, _CONCEPTS)
  np.testing.assert_array_equal(whole.triplets, parts.triplets)
  np.testing.assert_array_equal(whole.participant, parts.participant)
  assert whole.report == parts.report
  with pytest.raises(AlignetError, match="row 5 is .*choice '4'"):
    readers.read_things_csv(
        _csv(path, [*_ROWS[:5], (1, 2, 3, 4, 0, 0, "A", 1)]), _CONCEPTS
    )


@pytest.mark.parametrize(
    "row, shown",
    [
        ((1, 1, 3, 3), "image1 '1', image2 '1', image3 '3', choice '3'"),
        ((0, 1, 3, 3), "image1 '0'"),
        ((1, 6, 3, 3), "image2 '6'"),
        ((1, 2, -3, 3), "image3 '-3'"),
        ((1, 2, 3, 0), "choice '0'"),
        ((1, 2, 3, 4), "choice '4'"),
        ((1, 2, 3, "NaN"), "choice 'NaN'"),
        ((1, 2, 3, ""), "choice ''"),
        ((1, 2, 3.5, 1), "image3 '3.5'"),
        ((1, 2, 10**30, 1), "image3 '1000"),
    ],
)
def test_impossible_rows_are_named_or_dropped(tmp_path, row, shown):
  rows = [*_ROWS[:2], (*row, 900, 0, "A", 1), *_ROWS[2:]]
  path = _csv(tmp_path / "t.csv", rows)
  with pytest.raises(AlignetError, match=rf"row 2 is .*{shown}.* 1 to 5 and"):
    readers.read_things_csv(path, _CONCEPTS)
  choices = readers.read_things_csv(path, _CONCEPTS, on_impossible="drop")
  np.testing.assert_array_equal(choices.triplets, _LAST)
  assert choices.report == readers.Report(
      rows=7, impossible=1, unknown=0, repeated=1
  )


def test_whole_numbers_written_as_floats(tmp_path):
  rows = [tuple(f"{x:.1f}" for x in row[:6]) + row[6:] for row in _ROWS]
  path = _csv(tmp_path / "t.csv", rows)
  np.testing.assert_array_equal(
      readers.read_things_csv(path, _CONCEPTS).triplets, _LAST
  )


def test_missing_columns_are_one_error(tmp_path):
  path = _csv(tmp_path / "t.csv", [], ("image1", "image3", "choice"))
  with pytest.raises(
      AlignetError,
      match="columns subject_id, image2; .*found image1, image3, choice",
  ):
    readers.read_things_csv(path, _CONCEPTS)
  path.write_text("")
  with pytest.raises(AlignetError, match="found none"):
    readers.read_things_csv(path, _CONCEPTS)


def test_damaged_csv(tmp_path):
  path = _csv(tmp_path / "t.csv", [*_ROWS, (1, 2, 3)])
  with pytest.raises(AlignetError, match="row 6 has 3 fields; expected 8"):
    readers.read_things_csv(path, _CONCEPTS)
  zipped = _csv(tmp_path / "t.csv.gz", _ROWS)
  zipped.write_bytes(zipped.read_bytes()[:-12])
  with pytest.raises(AlignetError, match="cannot be read as text"):
    readers.read_things_csv(zipped, _CONCEPTS)
  path.write_bytes(b"\xff\xfe\x00")
  with pytest.raises(AlignetError, match="cannot be read as text"):
    readers.read_things_csv(path, _CONCEPTS)
  with pytest.raises(AlignetError, match="none.csv does not exist"):
    readers.read_things_csv(tmp_path / "none.csv", _CONCEPTS)


def test_numbers_of_another_list_are_joined_by_name(tmp_path):
  path = _csv(tmp_path / "t.csv", _ROWS)
  known = readers.read_things_csv(path, _CONCEPTS)
  concepts = ["elk", "cat", "ape", "bee", "yak"]  # No dog.
  with pytest.raises(AlignetError, match="row 2 shows 'dog', none of the 5"):
    readers.read_things_csv(path, concepts, names=_CONCEPTS)
  some = readers.read_things_csv(
      path, concepts, names=_CONCEPTS, on_unknown="drop"
  )
  kept = (known.triplets != _CONCEPTS.index("dog")).all(axis=1)
  np.testing.assert_array_equal(
      np.array(concepts)[some.triplets],
      np.array(_CONCEPTS)[known.triplets[kept]],
  )
  np.testing.assert_array_equal(some.participant, known.participant[kept])
  assert some.report.unknown == 4 and len(some) == 2


def test_nothing_left(tmp_path):
  with pytest.raises(AlignetError, match="found none in 1 rows"):
    readers.read_things_csv(
        _csv(tmp_path / "t.csv", [(1, 1, 1, 1, 0, 0, "A", 1)]),
        _CONCEPTS,
        on_impossible="drop",
    )
  (tmp_path / "t.txt").write_text("")
  with pytest.raises(AlignetError, match="found none in 0 rows"):
    readers.read_triplets(tmp_path / "t.txt", _CONCEPTS)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_triplets_npy(tmp_path, dtype):
  np.save(tmp_path / "t.npy", np.array(_LAST, dtype))
  choices = readers.read_triplets(tmp_path / "t.npy", _CONCEPTS)
  np.testing.assert_array_equal(choices.triplets, _LAST)
  # Without participants all rows count as one person's.
  assert choices.participant is None and choices.report.repeated == 2


@pytest.mark.parametrize("form", ["%d", "%.18e"])
@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz"])
def test_triplets_text(tmp_path, name, form):
  np.savetxt(tmp_path / name, _LAST, fmt=form)
  choices = readers.read_triplets(tmp_path / name, _CONCEPTS)
  np.testing.assert_array_equal(choices.triplets, _LAST)


def test_odd_first(tmp_path):
  first = np.array(_LAST)[:, [2, 0, 1]]
  np.save(tmp_path / "t.npy", first)
  np.savetxt(tmp_path / "t.txt", first, fmt="%d")
  for choices in (
      readers.read_triplets(tmp_path / "t.npy", _CONCEPTS, odd="first"),
      readers.read_triplets(tmp_path / "t.txt", _CONCEPTS, odd="first"),
      readers.from_array(first.astype(float), _CONCEPTS, odd="first"),
  ):
    np.testing.assert_array_equal(choices.triplets, _LAST)
  with pytest.raises(AlignetError, match="odd: .*found 'middle'"):
    readers.from_array(first, _CONCEPTS, odd="middle")


@pytest.mark.parametrize(
    "row", [[0, 1, 5], [0, -1, 2], [2, 1, 2], [0, 1, 1.5], [0, np.nan, 1]]
)
def test_impossible_triplets(tmp_path, row):
  array = np.array([*_LAST[:3], row])
  message = r"row 3 is .*; expected three different numbers from 0 to 4:"
  np.savetxt(tmp_path / "t.txt", array, fmt="%g")
  with pytest.raises(AlignetError, match=message):
    readers.read_triplets(tmp_path / "t.txt", _CONCEPTS)
  with pytest.raises(AlignetError, match=message):
    readers.from_array(array, _CONCEPTS)
  choices = readers.from_array(array, _CONCEPTS, on_impossible="drop")
  np.testing.assert_array_equal(choices.triplets, _LAST[:3])


def test_bad_triplet_files(tmp_path):
  np.save(tmp_path / "o.npy", np.array([[0, 1, "a"]], object))
  with pytest.raises(AlignetError, match="pickled"):
    readers.read_triplets(tmp_path / "o.npy", _CONCEPTS)
  np.save(tmp_path / "t.npy", np.zeros((3, 2), int))
  with pytest.raises(AlignetError, match=r"expected shape \(any, 3\)"):
    readers.read_triplets(tmp_path / "t.npy", _CONCEPTS)
  (tmp_path / "t.txt").write_text("0 1 2\n\n0 1\n")
  with pytest.raises(AlignetError, match="row 1 has 2 fields; expected 3"):
    readers.read_triplets(tmp_path / "t.txt", _CONCEPTS)
  with pytest.raises(AlignetError, match="on_impossible: .*found 'skip'"):
    readers.from_array(np.array(_LAST), _CONCEPTS, on_impossible="skip")
  with pytest.raises(AlignetError, match="concepts: row 1 has the name 'a'"):
    readers.from_array(np.array(_LAST), ["a", "a"])
  with pytest.raises(AlignetError, match="concepts: expected strings"):
    readers.from_array(np.array(_LAST), [1, 2, 3])


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 3, st.integers(1, 3)), min_size=1)
)
def test_what_is_kept_and_counted_adds_up(rows):
  array = np.array([triplet for *triplet, _ in rows])
  possible = [i for i, row in enumerate(array) if len(set(row)) == 3]
  if not possible:
    return
  choices = readers.from_array(array, list("abcd"), on_impossible="drop")
  np.testing.assert_array_equal(choices.triplets, array[possible])
  answers = {(frozenset(t[:2]), t[2]) for t in choices.triplets.tolist()}
  assert choices.report == readers.Report(
      rows=len(rows),
      impossible=len(rows) - len(possible),
      unknown=0,
      repeated=len(possible) - len(answers),
  )


def _names_file(tmp_path, kind, names):
  path = tmp_path / f"names{kind}"
  if kind == ".npy":
    np.save(path, np.array(names))
  elif kind == ".txt":
    path.write_text("\n".join(names) + "\n")
  else:
    lines = [f"{i}\t{name}\t" for i, name in enumerate(names)]
    path.write_text("\n".join(["n\tuniqueID\tmore", *lines]) + "\n")
  return path


@pytest.mark.parametrize("kind", [".npy", ".txt", ".tsv"])
def test_names(tmp_path, kind):
  path = _names_file(tmp_path, kind, _CONCEPTS)
  assert readers.read_names(path).tolist() == _CONCEPTS
  for names in (["ape", "bee", "ape"], ["ape", "bee", "", "cat"]):
    path = _names_file(tmp_path, kind, names)
    with pytest.raises(AlignetError, match="row 2 has the name '(ape|)'"):
      readers.read_names(path)


def test_table_without_names(tmp_path):
  (tmp_path / "n.tsv").write_text("ape\nbee\n")
  with pytest.raises(AlignetError, match="unique_id or uniqueID, found ape"):
    readers.read_names(tmp_path / "n.tsv")


def _values(rows=5, k=3, seed=0):
  rng = np.random.default_rng(seed)
  return rng.gamma(1, size=(rows, k)).astype(np.float32)


@pytest.mark.parametrize("kind", [".npy", ".txt", ".tsv"])
def test_embedding_is_joined_by_name(tmp_path, kind):
  names = ["dog", "ape", "elk", "bee", "cat"]
  np.save(tmp_path / "v.npy", _values())
  np.savetxt(tmp_path / "v.txt", _values(), fmt="%.9g")
  path = _names_file(tmp_path, kind, names)
  for file in ("v.npy", "v.txt"):
    got = readers.read_embedding(tmp_path / file, _CONCEPTS, names=path)
    assert got.values.dtype == np.float32 and got.unknown == ()
    for name, row in zip(_CONCEPTS, got.values):
      np.testing.assert_array_equal(row, _values()[names.index(name)])


def test_embedding_of_more_or_fewer_concepts(tmp_path):
  path = tmp_path / "v.npy"
  np.save(path, _values())
  some = ["elk", "bee"]
  with pytest.raises(AlignetError, match=r"rows of ape, cat, dog, none of"):
    readers.read_embedding(path, some, names=_CONCEPTS)
  got = readers.read_embedding(path, some, names=_CONCEPTS, on_unknown="drop")
  np.testing.assert_array_equal(got.values, _values()[[4, 1]])
  assert got.unknown == ("ape", "cat", "dog")
  with pytest.raises(AlignetError, match="no row of yak of the 2 concepts"):
    readers.read_embedding(
        path, ["yak", "ape"], names=_CONCEPTS, on_unknown="drop"
    )


@pytest.mark.parametrize(
    "change, message",
    [
        ({}, 'names=FILE.*order="things".*VICE as published'),
        ({"order": "things", "names": _CONCEPTS}, "expected either"),
        ({"order": "alphabetical"}, "found 'alphabetical'"),
        ({"names": _CONCEPTS[:4]}, "expected 4 rows, one a name, found 5"),
        (
            {"order": "things", "values": _values(3, 5)},
            "expected 5 rows, one a concept, found 3; transpose it",
        ),
        (
            {"order": "things", "values": np.where(_values() > 3, 0, np.nan)},
            "row 0 holds a NaN",
        ),
        (
            {"order": "things", "values": np.full((5, 2), 1e300)},
            "row 0 holds a NaN or inf",
        ),
        ({"order": "things", "values": np.ones((5, 2), int)}, "floats"),
    ],
)
def test_bad_embedding(tmp_path, change, message):
  change = dict(change)
  np.save(tmp_path / "v.npy", change.pop("values", _values()))
  with pytest.raises(AlignetError, match=message):
    readers.read_embedding(tmp_path / "v.npy", _CONCEPTS, **change)


@pytest.mark.parametrize("text", ["1 2\n3\n", "1 a\n", "", "# nothing\n"])
def test_bad_text_embedding(tmp_path, text):
  (tmp_path / "v.txt").write_text(text)
  with pytest.raises(AlignetError, match="v.txt: expected (a line|5 rows)"):
    readers.read_embedding(tmp_path / "v.txt", _CONCEPTS, order="things")


def _posterior(tmp_path, name="p.npz", **changes):
  arrays = {"mu": _values() - 1, "sigma": _values(seed=1) + 0.1, **changes}
  np.savez(
      tmp_path / name, **{k: v for k, v in arrays.items() if v is not None}
  )
  return tmp_path / name


def test_posterior(tmp_path):
  names = np.array(["dog", "ape", "elk", "bee", "cat"])
  rows = [names.tolist().index(name) for name in _CONCEPTS]
  mu, sigma = _values() - 1, _values(seed=1) + np.float32(0.1)
  np.save(tmp_path / "mu.npy", mu)
  np.save(tmp_path / "sigma.npy", sigma)
  both = {"mu": None, "sigma": None, "pruned_loc": mu, "pruned_scale": sigma}
  for path, more in (
      (_posterior(tmp_path), {"names": names}),
      (_posterior(tmp_path, "named.npz", names=names), {}),
      (_posterior(tmp_path, "vice.npz", **both), {"names": names}),
      (
          tmp_path / "mu.npy",
          {"names": names, "sigma": tmp_path / "sigma.npy"},
      ),
  ):
    got = readers.read_posterior(path, _CONCEPTS, **more)
    np.testing.assert_array_equal(got.mu, mu[rows])
    np.testing.assert_allclose(got.sigma, sigma[rows], rtol=1e-6)
  # What is said goes before what the file says.
  path = _posterior(tmp_path, names=names)
  got = readers.read_posterior(path, _CONCEPTS, order="things")
  np.testing.assert_array_equal(got.mu, mu)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sigma": 1 - np.eye(5, 3, -1)}, "row 1 has the value 0.0;"),
        ({"sigma": -_values()}, "above zero"),
        ({"sigma": np.full((5, 3), np.inf)}, "sigma in .*: row 0 holds a NaN"),
        ({"sigma": _values(5, 2)}, r"shape of mu, \(5, 3\), found \(5, 2\)"),
        ({"sigma": None}, "lacks the keys mu and sigma; found mu"),
        ({"mu": np.full((5, 3), np.nan)}, "mu in .*: row 0 holds a NaN"),
        ({"names": np.array(_CONCEPTS[:3])}, "expected 3 rows, one a name"),
        ({}, "names=FILE"),
    ],
)
def test_bad_posterior(tmp_path, change, message):
  path = _posterior(tmp_path, **change)
  more = {} if "names" in change or not change else {"order": "things"}
  with pytest.raises(AlignetError, match=message):
    readers.read_posterior(path, _CONCEPTS, **more)


def test_posterior_in_one_or_two_files(tmp_path):
  np.save(tmp_path / "mu.npy", _values())
  with pytest.raises(AlignetError, match="another of sigma"):
    readers.read_posterior(tmp_path / "mu.npy", _CONCEPTS, order="things")
  with pytest.raises(AlignetError, match="another of sigma"):
    readers.read_posterior(
        _posterior(tmp_path),
        _CONCEPTS,
        sigma=tmp_path / "mu.npy",
        order="things",
    )


def _images(folder, *paths):
  for path in paths:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(b"image")
  return folder


def test_reference_images(tmp_path):
  folder = _images(
      tmp_path,
      *("ape.jpg", "bee/bee_02s.jpg", "bee/bee_01b.JPG", "cat/anything.png"),
      *("README.txt", ".hidden.jpg", ".cache/x.jpg", "empty/notes.txt"),
      *("dog.PNG", "elk.jpeg"),
  )
  found = readers.find_reference_images(folder, _CONCEPTS)
  shown = [p.relative_to(folder).as_posix() for p in found.paths]
  assert shown == [
      *("ape.jpg", "bee/bee_01b.JPG", "cat/anything.png"),
      *("dog.PNG", "elk.jpeg"),
  ]
  assert found.unknown == found.missing == ()


def test_unknown_and_missing_images(tmp_path):
  folder = _images(tmp_path, "ape.jpg", "yak.jpg", "zebra/zebra.jpg", "elk.jpg")
  with pytest.raises(AlignetError, match="images of yak, zebra, none of the 5"):
    readers.find_reference_images(folder, _CONCEPTS)
  with pytest.raises(AlignetError, match="no image of bee, cat, dog of the 5"):
    readers.find_reference_images(folder, _CONCEPTS, on_unknown="drop")
  found = readers.find_reference_images(
      folder, _CONCEPTS, on_unknown="drop", on_missing="drop"
  )
  assert [p and p.name for p in found.paths] == [
      *("ape.jpg", None, None, None, "elk.jpg")
  ]
  assert found.unknown == ("yak", "zebra")
  assert found.missing == ("bee", "cat", "dog")


@pytest.mark.parametrize(
    "paths, message",
    [
        (["ape.jpg", "ape.png"], "both ape.jpg and ape.png for 'ape'"),
        (["ape.jpg", "ape/1.jpg"], "for 'ape'"),
        (["ape/1.jpg", "ape/2.jpg"], "holds 2 images; expected one"),
        (["ape/a_01b.jpg", "ape/b_01b.jpg"], "holds 2 images"),
    ],
)
def test_two_images_of_a_concept(tmp_path, paths, message):
  with pytest.raises(AlignetError, match=message):
    readers.find_reference_images(_images(tmp_path, *paths), ["ape"])


def test_no_folder_of_images(tmp_path):
  with pytest.raises(AlignetError, match="no folder"):
    readers.find_reference_images(tmp_path / "none", _CONCEPTS)


def test_vice_as_published_is_put_in_order(test_data, tmp_path):
  """Its rows are in another order than the concepts: 20 of them differ."""
  folder = test_data / "things"
  concepts = things.read_concepts(folder / "concepts.tsv")
  right = np.load(folder / "vice_embedding.npy")
  order = np.arange(len(concepts))
  moved = np.random.default_rng(0).choice(len(order), 20, replace=False)
  order[moved] = order[np.roll(moved, 1)]
  np.save(tmp_path / "published.npy", right[order])
  names = _names_file(tmp_path, ".tsv", concepts.unique_id[order].tolist())

  with pytest.raises(AlignetError, match="1854 rows .*names=FILE"):
    readers.read_embedding(tmp_path / "published.npy", concepts)
  by_name = readers.read_embedding(
      tmp_path / "published.npy", concepts, names=names
  )
  np.testing.assert_array_equal(by_name.values, right)
  by_position = readers.read_embedding(
      tmp_path / "published.npy", concepts, order="things"
  )
  assert (by_position.values != right).any(axis=1).sum() == 20
  # The shared file is in order, and says so when it is asked.
  as_shared = readers.read_embedding(
      folder / "vice_embedding.npy", concepts, names=folder / "concepts.tsv"
  )
  np.testing.assert_array_equal(as_shared.values, right)


def test_choices_agree_with_vice_only_where_the_odd_one_is(test_data, tmp_path):
  """A csv drawn from VICE's own probabilities is read as it was drawn."""
  folder = test_data / "things"
  concepts = things.read_concepts(folder / "concepts.tsv")
  vice = np.load(folder / "vice_embedding.npy")
  rng = np.random.default_rng(0)
  shown = np.stack(
      [rng.choice(len(vice), 3, replace=False) for _ in range(999)]
  )
  pairs = [(1, 2), (0, 2), (0, 1)]  # What is left when 0, 1 or 2 is odd.
  s = np.stack(
      [(vice[shown[:, a]] * vice[shown[:, b]]).sum(axis=1) for a, b in pairs],
      axis=1,
  )
  rows = [
      (*(x + 1), odd + 1, 900, 0, f"P{i % 7}", i // 20)
      for i, (x, odd) in enumerate(zip(shown, s.argmax(axis=1)))
  ]
  choices = readers.read_things_csv(_csv(tmp_path / "t.csv", rows), concepts)
  i, j, k = vice[choices.triplets].transpose(1, 0, 2)
  similar = (i * j).sum(axis=1)
  assert (similar >= (i * k).sum(axis=1)).all()
  assert (similar >= (j * k).sum(axis=1)).all()
  assert all(
      {*row} == {*x}
      for row, x in zip(choices.triplets.tolist(), shown.tolist())
  )
  assert len(choices.participant_ids) == 7
  assert list(itertools.islice(choices.session, 21)) == [*[0] * 20, 1]
