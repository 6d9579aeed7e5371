from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.triplets import sampling
from alignet.triplets.sampling import distinct
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

_LABELS = np.arange(14) % 4


def _wanted(plan, n, seed, avoid=()):
  """The first n rows of a seed with new images, one by one."""
  seen = {frozenset(row) for row in avoid}
  rows = []
  for row in plan.rows(seed, 0, 5000).tolist():
    if frozenset(row) not in seen:
      seen.add(frozenset(row))
      rows.append(row)
    if len(rows) == n:
      return rows
  raise AssertionError("too few")


@given(
    n=st.integers(1, 90),
    seed=st.integers(0, 99),
    part=st.sampled_from([3, 50, 2**22]),
    n_avoid=st.integers(0, 40),
)
def test_first_times_in_order(tmp_path_factory, n, seed, part, n_avoid):
  folder = tmp_path_factory.mktemp("distinct")
  plan = sampling.plan(_LABELS, "border")
  others = []
  if n_avoid:
    others = [folder / "val.npz"]
    sampling.write(others[0], _LABELS, "border", n_avoid, seed=1000)
  with pytest.MonkeyPatch.context() as m:
    m.setattr(distinct, "PART", part)
    meta = sampling.write(
        *(folder / "t.npz", _LABELS, "border", n),
        seed=seed,
        distinct=True,
        disjoint_from=others,
        trust=identities.Trust(rows="as_stored"),
        block=16,
    )
  avoid = sampling.read(others[0])[0].tolist() if others else ()
  wanted = _wanted(plan, n, seed, avoid)
  rows, read_meta = sampling.read(folder / "t.npz")
  assert rows.tolist() == wanted
  assert meta == read_meta and meta["distinct"]
  skipped = plan.rows(seed, 0, n + meta["n_rows_skipped"])[-1].tolist()
  assert skipped == wanted[-1]
  assert meta["disjoint_from_sha256"] == [files.sha256(x) for x in others]


def test_few_repeats_cost_no_second_walk(monkeypatch):
  plan = sampling.plan(np.arange(300) % 30, "border")
  real, walks = distinct._first_times, []

  def first_times(plan, rows, *args):
    walks.append(rows)
    return real(plan, rows, *args)

  monkeypatch.setattr(distinct, "_first_times", first_times)
  n = 5000
  bits = distinct.candidates(plan, n, seed=0)
  seen, wanted = set(), []
  for row in map(frozenset, plan.rows(0, 0, 2 * n).tolist()):
    wanted.append(row not in seen)
    seen.add(row)
    if sum(wanted) == n:
      break
  assert 0 < len(wanted) - n < n // 64  # Some rows come twice.
  expected = np.packbits(wanted, bitorder="little")
  np.testing.assert_array_equal(bits, expected)
  assert len(walks) == 1


def test_rows_drawn_are_few_though_all_first_ones_are_to_avoid(monkeypatch):
  plan = sampling.plan(np.arange(2000) % 30, "border")
  real, walks = distinct._first_times, []

  def first_times(plan, rows, *args):
    walks.append(rows)
    return real(plan, rows, *args)

  monkeypatch.setattr(distinct, "_first_times", first_times)
  taken = plan.rows(0, 0, 20_000)
  bits = distinct.candidates(plan, 1000, seed=0, avoid=[taken])
  kept = np.flatnonzero(np.unpackbits(bits, bitorder="little"))
  assert len(kept) == 1000 and kept[0] == 20_000
  assert sum(walks) < 30_000, walks


def test_images_beyond_two_to_the_21():
  """Image numbers take all of 32 bits."""
  rows = np.array([[0, 1, 2**31 - 1], [2**31 - 1, 0, 1], [0, 2, 2**31 - 1]])

  class Plan:

    def rows(self, seed, start, stop):
      return rows.astype(np.int32)[start:stop]

  bits = distinct.candidates(Plan(), 2, seed=0, avoid=())
  assert np.unpackbits(bits, bitorder="little").tolist() == [1, 0, 1, *[0] * 5]


def test_more_than_there_are(tmp_path):
  # Two groups of two: four borders.
  with pytest.raises(
      AlignetError, match="hold 4 distinct triplets, expected 5"
  ):
    sampling.write(
        tmp_path / "t", [0, 0, 1, 1], "border", 5, seed=0, distinct=True
    )
  assert not list(tmp_path.iterdir())


def test_other_images(tmp_path):
  sampling.write(tmp_path / "a", _LABELS, "border", 5, seed=0)
  with pytest.raises(AlignetError, match="over 14 images"):
    sampling.write(
        *(tmp_path / "b", _LABELS[:9], "border", 5),
        seed=0,
        disjoint_from=[tmp_path / "a"],
        trust=identities.Trust(rows="as_stored"),
    )
  with pytest.raises(AlignetError, match="a does not say .*--rows=as_stored"):
    sampling.write(
        *(tmp_path / "b", _LABELS, "border", 5),
        seed=0,
        disjoint_from=[tmp_path / "a"],
    )
