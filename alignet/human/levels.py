"""Levels: human odd-one-out choices at three levels of abstraction.

Data card. Muttenthaler et al. (2025), Aligning Machine and Human Visual
Representations across Abstraction Levels, Nature 647, 349-355. Images of
ImageNet in triplets of three kinds: `between_class` (three classes, coarse),
`within_class` (one class, fine) and `class_border` (two of one class and one of
another, boundary). 473 people on the internet marked the odd one out; as
reported, 123,043 trials: 49,045 between, 49,606 within, 24,392 border. Several
people saw each triplet; some saw one twice. Published as the pickle
`processed_data/pruned_dataset.pkl` of gin.g-node.org/fborn/Dataset_Levels, of
which alignet knows no checksum and no licence (see that page); the images are
ImageNet's and are not part of it.

The pickle is a dict, participant -> list of trials; a trial is a dict with

    image1Path, image2Path, image3Path   file names of the three images
    selected_image                       file name of the one chosen as odd
    rt                                   response time (unit not documented)
    triplet_type                         one of the three above
    exp_trial_type                       "exp_trial" for what counts

It is read once, by `convert`, with an unpickler that runs no code, and kept as
a plain npz; see `write`. That the selected image is the odd one, and what the
time's unit is, is said by people who use the file and not by the file: scores
of response times do not depend on the unit.
"""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import json_files
from alignet.io import plain_pickle
from alignet.triplets import layout
import numpy as np

KINDS = ("between_class", "within_class", "class_border")
"""As in the file; `LEVELS` gives the names of our scores."""

LEVELS: Mapping[str, str] = {
    "between_class": "coarse",
    "within_class": "fine",
    "class_border": "boundary",
}

_EXPERIMENT = "exp_trial"
_IMAGES = ("image1Path", "image2Path", "image3Path")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
  """Answers, in the order of participants and trials of the file.

  Attributes:
    images: (i,) str, names of the images, sorted, without folders.
    stimuli: (n, 3) int32, images of each answer, ascending, so that answers to
      the same images have equal rows.
    chosen: (n,) int8, pair judged most similar: 0, 1 or 2 of [01, 02, 12].
    participants: (n,) int32, number of the participant.
    participant_names: (p,) str.
    kinds: (n,) int8, place in `KINDS`.
    times: (n,) float64 response times as in the file; NaN where there is none.
  """

  images: np.ndarray
  stimuli: np.ndarray
  chosen: np.ndarray
  participants: np.ndarray
  participant_names: np.ndarray
  kinds: np.ndarray
  times: np.ndarray

  def __len__(self) -> int:
    return len(self.stimuli)

  def take(self, rows: np.ndarray) -> "Levels":
    """Some of the answers."""
    return dataclasses.replace(
        self,
        **{
            key: getattr(self, key)[rows]
            for key in ("stimuli", "chosen", "participants", "kinds", "times")
        },
    )

  @property
  def triplets(self) -> np.ndarray:
    """(n, 3) int32 images of each answer, the odd one last."""
    orders = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])
    return np.take_along_axis(self.stimuli, orders[self.chosen], axis=1)

  @property
  def stimulus_numbers(self) -> np.ndarray:
    """(n,) int64 number of each answer's triplet, equal for equal images."""
    _, numbers = np.unique(self.stimuli, axis=0, return_inverse=True)
    return numbers.reshape(-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exclusions:
  """Which answers are left out, before anything is scored; none by default.

  Attributes:
    shortest: answers with a time below this, in the file's unit.
    longest: answers with a time above this.
    repeats: all but the first answer of a person to a triplet.
    answers: all answers of people with fewer than this many.
    stimulus_answers: triplets with fewer answers than this.
    participants: names of people to leave out.
  """

  shortest: float | None = None
  longest: float | None = None
  repeats: bool = False
  answers: int = 0
  stimulus_answers: int = 0
  participants: tuple[str, ...] = ()


def convert(
    pickled: files.Path, out: files.Path, *, overwrite: bool = False
) -> Mapping[str, int]:
  """Reads the published pickle and writes the npz.

  Args:
    pickled: pruned_dataset.pkl.
    out: the npz.
    overwrite: replace an existing file.

  Returns:
    Counts: answers, participants, images, answers of each kind, and `left_out`,
    trials that are no experimental ones.

  Raises:
    OutputExistsError: the npz exists.
    AlignetError: a hostile or damaged pickle, or one of another structure.
  """
  files.check_output(out, overwrite=overwrite)
  levels, left_out = from_trials(plain_pickle.load(pickled), str(pickled))
  write(out, levels, {"sha256": files.sha256(pickled)}, overwrite=overwrite)
  return {
      "answers": len(levels),
      "participants": len(levels.participant_names),
      "images": len(levels.images),
      **{kind: int((levels.kinds == i).sum()) for i, kind in enumerate(KINDS)},
      "left_out": left_out,
  }


def from_trials(
    participants: Mapping[Any, Any], where: str = "Levels"
) -> tuple[Levels, int]:
  """Answers of the published structure, and the number of other trials.

  Args:
    participants: participant -> list of trials, see the module.
    where: what is read, for the message.

  Returns:
    The answers, and how many trials were no experimental ones.

  Raises:
    AlignetError: another structure; a trial without a field, of an unknown
      kind, with an image twice or one selected that was not shown.
  """
  if not isinstance(participants, Mapping) or not participants:
    raise AlignetError(
        f"{where}: expected a dict of participants, found"
        f" {type(participants).__name__}"
    )
  names, shown, selected, who, kinds, times = [], [], [], [], [], []
  left_out = 0
  for number, (name, trials) in enumerate(participants.items()):
    names.append(str(name))
    if not isinstance(trials, list | tuple):
      raise AlignetError(
          f"{where}: participant {name!r}: expected a list of trials, found"
          f" {type(trials).__name__}"
      )
    for i, trial in enumerate(trials):
      here = f"{where}: participant {name!r}, trial {i}"
      if not isinstance(trial, Mapping):
        raise AlignetError(
            f"{here}: expected a dict, found {type(trial).__name__}"
        )
      if trial.get("exp_trial_type") != _EXPERIMENT:
        left_out += 1
        continue
      images = [_name(trial, key, here) for key in _IMAGES]
      choice = _name(trial, "selected_image", here)
      if len(set(images)) < 3 or choice not in images:
        raise AlignetError(
            f"{here}: expected three different images, one of them selected,"
            f" found {', '.join(images)}, selected {choice}"
        )
      if trial.get("triplet_type") not in KINDS:
        raise AlignetError(
            f"{here}: expected a triplet_type of {', '.join(KINDS)}, found"
            f" {trial.get('triplet_type')!r}"
        )
      shown.append(images)
      selected.append(images.index(choice))
      who.append(number)
      kinds.append(KINDS.index(trial["triplet_type"]))
      times.append(_time(trial.get("rt")))
  if not shown:
    raise AlignetError(
        f"{where}: found no trial with the exp_trial_type {_EXPERIMENT!r}"
    )
  images, numbers = np.unique(np.array(shown), return_inverse=True)
  numbers = numbers.reshape(-1, 3)
  order = np.argsort(numbers, axis=1)
  # Where the odd one lies among the ascending numbers tells the pair.
  odd = (order == np.array(selected)[:, None]).argmax(axis=1)
  return (
      Levels(
          images=images,
          stimuli=np.take_along_axis(numbers, order, axis=1).astype(np.int32),
          chosen=np.array(layout.ODD)[odd].astype(np.int8),
          participants=np.array(who, np.int32),
          participant_names=np.array(names),
          kinds=np.array(kinds, np.int8),
          times=np.array(times, np.float64),
      ),
      left_out,
  )


def write(
    path: files.Path,
    levels: Levels,
    meta: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> None:
  """Writes the answers as npz: the attributes of `Levels`, and `meta`."""
  arrays = {f.name: getattr(levels, f.name) for f in dataclasses.fields(levels)}
  arrays["meta"] = json_files.array(dict(meta))
  files.save_npz(path, arrays, overwrite=overwrite, compress=True)


def read(path: files.Path) -> Levels:
  """Reads the npz that `write` wrote.

  Raises:
    AlignetError: missing, damaged, lengths that differ, numbers out of range.
  """
  if pathlib.Path(path).suffix in (".pkl", ".pickle"):
    raise AlignetError(
        f"{path} is a pickle; make it an npz once: `alignet fetch levels` does"
        " so, also with a pruned_dataset.pkl that is in its folder already"
    )
  names = [f.name for f in dataclasses.fields(Levels)]
  arrays = files.load_npz(path, required=names, optional=())
  n = len(np.atleast_1d(arrays["chosen"]))
  for name, shape, kinds in (
      ("images", (None,), "U"),
      ("stimuli", (n, 3), "iu"),
      ("chosen", (n,), "iu"),
      ("participants", (n,), "iu"),
      ("participant_names", (None,), "U"),
      ("kinds", (n,), "iu"),
      ("times", (n,), "f"),
  ):
    files.check_array(
        arrays[name], f"{name} in {path}", shape=shape, kinds=kinds
    )
  for name, limit in (
      ("chosen", 3),
      ("participants", len(arrays["participant_names"])),
      ("kinds", len(KINDS)),
  ):
    if not n or arrays[name].min() < 0 or arrays[name].max() >= limit:
      raise AlignetError(
          f"{name} in {path}: expected at least one number, from 0 to"
          f" {limit - 1}; convert the published file again"
      )
  layout.check(
      arrays["stimuli"], len(arrays["images"]), what=f"stimuli in {path}"
  )
  return Levels(**{name: arrays[name] for name in names})


def exclude(
    levels: Levels, rules: Exclusions
) -> tuple[Levels, Mapping[str, int]]:
  """Leaves answers out, rule by rule in the order of `Exclusions`.

  Returns:
    The answers that stay, and how many each rule has left out.

  Raises:
    AlignetError: no answer stays; a participant that is not there.
  """
  strange = set(rules.participants) - set(levels.participant_names.tolist())
  if strange:
    raise AlignetError(f"there is no participant {sorted(strange)[0]!r}")
  left_out = {}

  def keep(name, rows):
    nonlocal levels
    left_out[name] = int((~rows).sum())
    levels = levels.take(rows)

  if rules.shortest is not None:
    keep("shortest", ~(levels.times < rules.shortest))
  if rules.longest is not None:
    keep("longest", ~(levels.times > rules.longest))
  if rules.repeats:
    key = np.concatenate([levels.participants[:, None], levels.stimuli], axis=1)
    first = np.zeros(len(levels), bool)
    first[np.unique(key, axis=0, return_index=True)[1]] = True
    keep("repeats", first)
  if rules.answers:
    n = np.bincount(
        levels.participants, minlength=len(levels.participant_names)
    )
    keep("answers", n[levels.participants] >= rules.answers)
  if rules.stimulus_answers and len(levels):
    numbers = levels.stimulus_numbers
    n = np.bincount(numbers)
    keep("stimulus_answers", n[numbers] >= rules.stimulus_answers)
  if rules.participants:
    unwanted = np.isin(levels.participant_names, rules.participants)
    keep("participants", ~unwanted[levels.participants])
  if not len(levels):
    raise AlignetError(
        "the exclusions leave no answer of Levels out of"
        f" {sum(left_out.values())}; loosen one of them"
    )
  return levels, left_out


def rows_of_images(
    levels: Levels, filenames: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the images among those of a directory of representations.

  Images are joined by file name without folders and without what follows the
  last dot: `n01440764/n01440764_10026.JPEG` is `n01440764_10026`.

  Args:
    levels: the answers.
    filenames: (n,) str, of the representations.

  Returns:
    (i,) int64 row of each image of `levels.images`, -1 where it is not there;
    (answers,) bool, whether all three images of an answer are there.

  Raises:
    AlignetError: two files of one such name.
  """
  row_of = {}
  for row, name in enumerate(np.asarray(filenames).tolist()):
    key = _key(name)
    if key in row_of:
      raise AlignetError(
          f"two images are called {key}; give representations whose file names"
          " tell ImageNet's images apart"
      )
    row_of[key] = row
  rows = np.array(
      [row_of.get(_key(name), -1) for name in levels.images.tolist()]
  )
  return rows, (rows[levels.stimuli] >= 0).all(axis=1)


def _key(name: str) -> str:
  base = name.replace("\\", "/").rpartition("/")[2]
  return base.rpartition(".")[0] or base


def _name(trial, key, here) -> str:
  value = trial.get(key)
  if not isinstance(value, str) or not value:
    raise AlignetError(
        f"{here}: expected a file name as {key}, found {value!r}"
    )
  return value.replace("\\", "/").rpartition("/")[2]


def _time(value) -> float:
  try:
    return float(value)
  except (TypeError, ValueError):
    return float("nan")
