"""Published human similarities of images, as dissimilarity matrices.

One reader a data set, for the form in which it is published; its docstring is
the data card. All give (subjects, n, n) float64 RDMs: larger is less similar,
one subject where only a mean was published. None of the images comes with the
matrices: rows are in the order that the card names, and representations of the
images must be brought into it.

A set goes by its name in `SETS`, or by SET/PART where it has parts that are
used together: king2019/set2, peterson/animals. See `load`.
"""

from collections.abc import Callable, Mapping
import dataclasses
import functools
import pathlib
import re
from typing import Any

from alignet.errors import AlignetError
from alignet.human import rdm_files
from alignet.io import files
from alignet.io import plain_pickle
import numpy as np

PETERSON_CATEGORIES = (
    *("animals", "automobiles", "fruits"),
    *("furniture", "various", "vegetables"),
)

_PICKLES = (".pickle", ".pkl")


def king2019(path: files.Path, *, stimuli: str = "set1") -> np.ndarray:
  """King et al. 2019: arrangements of 144 natural images, two sets of them.

  Data card. King, Groen, Steel, Kravitz & Baker (2019), Similarity judgments
  and cortical visual responses reflect different properties of object and scene
  categories in naturalistic images, NeuroImage 197, 368-382. People arranged
  images of objects and scenes by similarity, one set of images after the other.
  Published as `BEHAVIOR.mat`: a struct with `set1` and `set2`, each with
  `pairwisedistances` (subjects, pairs), in MATLAB's order of pairs, (2, 1),
  (3, 1), ..., (3, 2), .... Order of stimuli: their file names, sorted, as
  earlier public code takes it. Where to get it: the authors' page; rights are
  said there.

  Args:
    path: BEHAVIOR.mat.
    stimuli: "set1" or "set2".

  Returns:
    (subjects, n, n).
  """
  content = _field(rdm_files.mat(path), "BEHAVIOR", path)
  one = _field(content, stimuli, path)
  return rdm_files.from_array(_field(one, "pairwisedistances", path), str(path))


def cichy2019(path: files.Path) -> np.ndarray:
  """Cichy et al. 2019: multi-arrangement of 118 images of objects.

  Data card. Cichy, Kriegeskorte, Jozwik, van den Bosch & Charest (2019), The
  spatiotemporal neural dynamics underlying perceived similarity for real-world
  objects, NeuroImage 194, 12-24. People arranged 118 photographs of objects by
  similarity in general (other files: by colour, shape and so on). Published as
  `judgments_general.mat` with `judgments`, RDMs by subject. Order of stimuli:
  their file names, sorted, as earlier public code takes it.

  Args:
    path: judgments_general.mat.

  Returns:
    (subjects, n, n).
  """
  return rdm_files.from_array(
      _field(rdm_files.mat(path), "judgments", path), str(path)
  )


def peterson(path: files.Path) -> np.ndarray:
  """Peterson et al. 2016, 2018: ratings of all pairs of 120 images a category.

  Data card. Peterson, Abbott & Griffiths (2016), Adapting deep network features
  to capture psychological representations, CogSci 38; the same (2018),
  Evaluating (and improving) the correspondence between deep neural networks and
  human representations, Cognitive Science 42, 2648-2669. Six categories of 120
  images: animals, automobiles, fruits, furniture, various, vegetables; people
  rated pairs from 0 (not similar at all) to 10. Published per category as a
  .mat with one matrix of mean similarities (its name contains "sim"), for
  fruits as a pickle {"name_i,name_j": [ratings]} with numbers from 1 on in the
  names. No judgments by person: no noise ceiling of subjects. Order of stimuli:
  the .mat's is their file names, sorted, as earlier public code takes it; the
  pickle's is the number in the name (beware: sorted names put 10 before 2).

  Args:
    path: the .mat of a category, or fruits_mturkRESULTS_all.pickle.

  Returns:
    (1, n, n): 10 minus the mean rating (the largest similarity of the matrix
    where that is above 10).
  """
  if pathlib.Path(path).suffix in _PICKLES:
    similarities = _ratings(plain_pickle.load(path), path)
  else:
    content = rdm_files.mat(path)
    names = [key for key in content if "sim" in key.lower()]
    if len(names) != 1:
      raise AlignetError(
          f"{path}: expected one matrix with 'sim' in its name, found"
          f" {', '.join(content) or 'nothing'}"
      )
    similarities = np.asarray(content[names[0]])
  return rdm_files.from_array(
      rdm_files.dissimilarities(similarities, path, 10), str(path)
  )


def hebart2020(path: files.Path) -> np.ndarray:
  """Hebart et al. 2020, RDM48: odd-one-out choices of 48 objects of THINGS.

  Data card. Hebart, Zheng, Pereira & Baker (2020), Revealing the
  multidimensional mental representations of natural objects underlying human
  similarity judgements, Nature Human Behaviour 4, 1173-1185. All triplets of 48
  objects were judged; dissimilarity of two is 1 minus the share of the triplets
  in which they were kept together. Published with the project osf.io/z2784 as
  `RDM48_triplet.mat` (`RDM48_triplet`, 48 x 48), and in halves as
  `RDM48_triplet_splithalf.mat` (`RDM48_triplet_split1`, `..._split2`), which
  are read as two subjects and so give a reliability. Order of stimuli: that of
  `words48.mat` of the same project, not that of the 1,854 concepts.

  Args:
    path: either file.

  Returns:
    (1, 48, 48), or (2, 48, 48) of the halves.
  """
  content = rdm_files.mat(path)
  names = ["RDM48_triplet"]
  if names[0] not in content:
    names = ["RDM48_triplet_split1", "RDM48_triplet_split2"]
  return rdm_files.from_array(
      np.stack([_field(content, name, path) for name in names]), str(path)
  )


def mur2013(path: files.Path) -> np.ndarray:
  """Mur et al. 2013: multi-arrangement of 92 objects, 16 people.

  Data card. Mur, Meys, Bodurka, Goebel, Bandettini & Kriegeskorte (2013), Human
  object-similarity judgments reflect and transcend the primate-IT object
  representation, Frontiers in Psychology 4, 128. The 92 coloured, isolated
  objects of Kriegeskorte et al. (2008): humans, animals, natural and artificial
  things. Published with the MATLAB RSA toolbox as `92_behavRDMs.mat`, a struct
  array `rdms_behav_92` with a field `RDM` a subject; `alignet fetch mur2013`.
  Order of stimuli: that of `stimuli_92objs` of the same toolbox.

  Args:
    path: 92_behavRDMs.mat.

  Returns:
    (16, 92, 92).
  """
  subjects = _field(rdm_files.mat(path), "rdms_behav_92", path)
  rdms = []
  for subject in np.atleast_1d(np.asarray(subjects, object)):
    if not isinstance(subject, Mapping):
      raise AlignetError(
          f"{path}: expected a struct with a field RDM a subject, found"
          f" {type(subject).__name__}"
      )
    rdms.append(np.asarray(_field(subject, "RDM", path)))
  if len({r.shape for r in rdms}) > 1:
    raise AlignetError(f"{path}: the subjects' RDMs have different sizes")
  return rdm_files.from_array(np.stack(rdms), str(path))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedSet:
  """A data set that has a published form of its own.

  Attributes:
    read: its reader.
    sorted_by_name: whether the stimuli are in the order of their file names;
      see the card.
    parts: those that it has, each with its reader.
  """

  read: Callable[[files.Path], np.ndarray]
  sorted_by_name: bool = False
  parts: Mapping[str, Callable[[files.Path], np.ndarray]] = dataclasses.field(
      default_factory=dict
  )


SETS: Mapping[str, PublishedSet] = {
    "king2019": PublishedSet(
        read=king2019,
        sorted_by_name=True,
        parts={
            name: functools.partial(king2019, stimuli=name)
            for name in ("set1", "set2")
        },
    ),
    "cichy2019": PublishedSet(read=cichy2019, sorted_by_name=True),
    "peterson": PublishedSet(
        read=peterson,
        sorted_by_name=True,
        parts=dict.fromkeys(PETERSON_CATEGORIES, peterson),
    ),
    "hebart2020": PublishedSet(read=hebart2020),
    "mur2013": PublishedSet(read=mur2013),
}
"""By name."""


def check_name(name: str, *, kind: rdm_files.Kind | None = None) -> None:
  """Fails with a name that is taken for another set than it means.

  Args:
    name: of a set, see `load`.
    kind: as there.

  Raises:
    AlignetError: a part that the set does not have; a name that only begins as
      a reader's, whose file would be read as one's own; the kind of a set that
      has a reader.
  """
  reader, _, part = name.partition("/")
  alike = [known for known in SETS if reader.startswith(known)]
  if reader in SETS:
    parts = SETS[reader].parts
    if part and parts and part not in parts:
      raise AlignetError(
          f"{reader} has the parts {', '.join(parts)}; found {name!r}"
      )
    if kind:
      raise AlignetError(
          f"{name} is read as its data card says, similarities or not; leave it"
          " out of --rdm_kind"
      )
  elif alike:
    raise AlignetError(
        f"{name!r} would be read as a matrix of your own; for the published set"
        f" write {alike[0]} or {alike[0]}/PART, else use a name that does not"
        f" begin with {alike[0]}"
    )


def load(
    name: str, path: files.Path, *, kind: rdm_files.Kind | None = None
) -> rdm_files.Matrices:
  """RDMs of a set by its name.

  Args:
    name: of `SETS`, or SET/PART; any other name is one's own.
    path: the set's file; for one's own what `rdm_files.read` takes.
    kind: what one's own file holds.

  Returns:
    (subjects, n, n) dissimilarities, and names where the file has them.

  Raises:
    AlignetError: as `check_name` and the readers.
  """
  check_name(name, kind=kind)
  reader, _, part = name.partition("/")
  if reader in SETS:
    rdms = SETS[reader].parts.get(part, SETS[reader].read)(path)
    return rdm_files.Matrices(rdms=rdms, kind="distance")
  return rdm_files.read(path, kind=kind)


def check_order(name: str, path: files.Path) -> None:
  """Fails where a set's stimuli are not in the order of their file names.

  For callers that have no names in the order of the RDM.

  Args:
    name: of the set, see `load`.
    path: its file: the pickle of Peterson's fruits is in another order than
      the other categories.

  Raises:
    AlignetError: rows of another order.
  """
  reader = name.partition("/")[0]
  numbered = pathlib.Path(path).suffix in _PICKLES
  if reader in SETS and (
      not SETS[reader].sorted_by_name or (reader == "peterson" and numbered)
  ):
    raise AlignetError(
        f"{name}: the stimuli of {path} are not in the order of their file"
        " names; give the names in the order that the data card says"
        f" (--rdm_images={name}=names.txt, rdm_images)"
    )


def _ratings(ratings: Any, path: files.Path) -> np.ndarray:
  """Mean similarity of pairs {"name_i,name_j": [ratings]}, numbered from 1."""
  if not isinstance(ratings, Mapping) or not ratings:
    raise AlignetError(f"{path}: expected a dict of pairs, found another thing")
  sums: dict[tuple[int, int], list[float]] = {}
  for pair, values in ratings.items():
    numbers = [re.findall(r"\d+", name) for name in str(pair).split(",")]
    if len(numbers) != 2 or not all(numbers) or not np.size(values):
      raise AlignetError(
          f"{path}: expected pairs 'name_i,name_j' with ratings, found {pair!r}"
      )
    i, j = sorted(int(n[0]) - 1 for n in numbers)
    if i < 0:
      raise AlignetError(f"{path}: expected numbers from 1 on, found {pair!r}")
    # A pair may be there in both orders.
    sums.setdefault((i, j), []).extend(np.ravel(values).tolist())
  n = max(j for _, j in sums) + 1
  if (found := sum(i != j for i, j in sums)) != n * (n - 1) // 2:
    raise AlignetError(
        f"{path}: expected ratings of all {n * (n - 1) // 2} pairs of {n}"
        f" images, found {found}"
    )
  out = np.full((n, n), np.nan)
  np.fill_diagonal(out, 10)
  for (i, j), values in sums.items():
    if i != j:
      out[i, j] = out[j, i] = np.mean(values)
  return out


def _field(content: Any, name: str, path: files.Path) -> Any:
  if not isinstance(content, Mapping) or name not in content:
    found = ", ".join(content) if isinstance(content, Mapping) else "no struct"
    raise AlignetError(
        f"{path}: expected {name}, found {found or 'nothing'}; is it the file"
        " that the data card names?"
    )
  return content[name]
