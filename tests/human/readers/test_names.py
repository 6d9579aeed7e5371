"""Tests of alignet.human.readers.names."""

from alignet.errors import AlignetError
from alignet.human import readers
import numpy as np
import pytest

_CONCEPTS = ["ape", "bee", "cat", "dog", "elk"]


def names_file(tmp_path, kind, names):
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
  path = names_file(tmp_path, kind, _CONCEPTS)
  assert readers.read_names(path).tolist() == _CONCEPTS
  for names in (["ape", "bee", "ape"], ["ape", "bee", "", "cat"]):
    path = names_file(tmp_path, kind, names)
    with pytest.raises(AlignetError, match="row 2 has the name '(ape|)'"):
      readers.read_names(path)


def test_table_without_names(tmp_path):
  (tmp_path / "n.tsv").write_text("ape\nbee\n")
  with pytest.raises(AlignetError, match="unique_id or uniqueID, found ape"):
    readers.read_names(tmp_path / "n.tsv")
