"""Tests of alignet.human.readers.choices and its collector."""

import gzip
import itertools

from alignet.errors import AlignetError
from alignet.human import readers
from alignet.human import things
from alignet.human.readers import collector
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

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
  monkeypatch.setattr(collector, "_BLOCK", 4)
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
      readers.read_triplets(first.astype(float), _CONCEPTS, odd="first"),
  ):
    np.testing.assert_array_equal(choices.triplets, _LAST)
  with pytest.raises(AlignetError, match="odd: .*found 'centre'"):
    readers.read_triplets(first, _CONCEPTS, odd="centre")


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
    readers.read_triplets(array, _CONCEPTS)
  choices = readers.read_triplets(array, _CONCEPTS, on_impossible="drop")
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
    readers.read_triplets(np.array(_LAST), _CONCEPTS, on_impossible="skip")
  with pytest.raises(AlignetError, match="concepts: row 1 has the name 'a'"):
    readers.read_triplets(np.array(_LAST), ["a", "a"])
  with pytest.raises(AlignetError, match="concepts: expected strings"):
    readers.read_triplets(np.array(_LAST), [1, 2, 3])


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 3, st.integers(1, 3)), min_size=1)
)
def test_what_is_kept_and_counted_adds_up(rows):
  array = np.array([triplet for *triplet, _ in rows])
  possible = [i for i, row in enumerate(array) if len(set(row)) == 3]
  if not possible:
    return
  choices = readers.read_triplets(array, list("abcd"), on_impossible="drop")
  np.testing.assert_array_equal(choices.triplets, array[possible])
  answers = {(frozenset(t[:2]), t[2]) for t in choices.triplets.tolist()}
  assert choices.report == readers.Report(
      rows=len(rows),
      impossible=len(rows) - len(possible),
      unknown=0,
      repeated=len(possible) - len(answers),
  )


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
