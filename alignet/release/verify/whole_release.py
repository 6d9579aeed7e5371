"""Checks of a release folder: ours by its release.json, others' by names.

A folder without release.json is read as the public release is laid out,
`{transform}/{split}_{sampling}.npz` and `alignet_{train,valid}.npz`, in any
depth. What is found there is used: transforms/{transform}/transform.npz; the
classes of ImageNet come from the file names, all else has to be given.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import pathlib
import re
from typing import Any

from alignet import transforms
from alignet.errors import AlignetError
from alignet.io import files
from alignet.io import identities
from alignet.io import progress
from alignet.release import manifest as manifest_lib
from alignet.release.verify import one_file
from alignet.release.verify import outcome
from alignet.representations import kmeans
from alignet.triplets import layout
from alignet.triplets import npz
from alignet.triplets import sampling
import numpy as np

SUMS = "SHA256SUMS"
UNTRANSFORMED = ("untransformed", "untransformed-matched")
"""Folders of answers that no transform was applied for."""

_NAME = re.compile(r"(train|val|valid|test)_(.+)\.npz")
_MAIN = re.compile(r"alignet_(train|valid)\.npz")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReleaseVerification:
  """Outcome of all checks of a release.

  Attributes:
    path: the folder.
    checks: of the folder.
    files: of each AligNet npz in it.
  """

  path: str
  checks: tuple[outcome.Check, ...]
  files: tuple[outcome.Verification, ...]

  @property
  def ok(self) -> bool:
    """Whether nothing failed."""
    return outcome.none_failed(self.checks) and all(f.ok for f in self.files)

  def to_json(self) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "path": self.path,
        "ok": self.ok,
        "checks": [dataclasses.asdict(check) for check in self.checks],
        "files": [file.to_json() for file in self.files],
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Given:
  """What the files of one source are checked against."""

  filenames: np.ndarray | None = None
  features: np.ndarray | None = None
  levels: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
  clusters: np.ndarray | None = None


def verify_release(
    folder: files.Path,
    *,
    representations: files.Path | None = None,
    clusters: files.Path | None = None,
) -> ReleaseVerification:
  """Checks a folder and every AligNet npz in it.

  Args:
    folder: of a release.
    representations: folder of the images' representations, for a release that
      carries none.
    clusters: clusters.npz, likewise.

  Returns:
    The outcomes. A damaged file is an outcome, never an error.

  Raises:
    AlignetError: no such folder, no AligNet npz in it, or arguments that cannot
      be read.
  """
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    raise AlignetError(f"{folder} is no folder")
  given_to_all = _read_given(representations, clusters)
  checks = [_sums(folder)]
  manifest = {}
  if (folder / manifest_lib.MANIFEST).is_file():
    try:
      manifest = manifest_lib.read(folder)
    except AlignetError as e:  # Its files are still those of the layout.
      checks.append(outcome.check("manifest", False, str(e)))
  entries = list(_entries(folder, manifest))
  if not entries and outcome.none_failed(checks):
    raise AlignetError(
        f"{folder} holds no AligNet npz: expected"
        " {transform}/{split}_{sampling}.npz"
    )
  given = {}
  found = []
  for entry in progress.bar(entries, desc="verifying", unit="file"):
    source = entry.get("source") or ""
    if source not in given:
      about = manifest.get("sources", {}).get(source, {})
      try:
        own = _read_given(
            None
            if representations
            else _inside(folder, about, "representations"),
            None if clusters else _inside(folder, about, "clusters"),
        )
      except AlignetError as e:
        checks.append(outcome.check("sources", False, str(e)))
        own = {}
      given[source] = _Given(**own, **given_to_all)
    found.append(_verify_entry(folder, entry, given[source]))
  checks += _splits(folder, entries, found)
  return ReleaseVerification(
      path=str(folder), checks=tuple(checks), files=tuple(found)
  )


def _entries(folder, manifest) -> Iterator[dict[str, Any]]:
  if manifest:
    yield from manifest["files"]
    return
  for path in sorted(folder.rglob("*.npz")):
    inside = path.relative_to(folder)
    if match := _MAIN.fullmatch(path.name):
      yield {"path": inside.as_posix(), "split": match[1]}
    elif match := _NAME.fullmatch(path.name):
      yield {
          "path": inside.as_posix(),
          "transform": path.parent.name,
          "split": match[1],
          "sampling": match[2],
      }


def _inside(folder, about, key) -> pathlib.Path | None:
  return folder / about[key] if about.get(key) else None


def _read_given(representations, clusters) -> dict[str, Any]:
  """Fields of `_Given` from what is there; data of a folder, not of a stage."""
  found = {}
  if representations is not None:
    representations = pathlib.Path(representations)
    found["filenames"] = np.asarray(
        files.load_npy(
            representations / "filenames.npy", shape=(None,), kinds="U"
        )
    )
    found["features"] = files.load_npy(
        representations / "features.npy",
        shape=(None, None),
        kinds="f",
        mmap=True,
    )
    arrays = files.load_npz(representations / "labels.npz", required=())
    found["levels"] = {
        name: ids for name, ids in arrays.items() if not name.endswith("_names")
    }
  if clusters is not None:
    found["clusters"], rows = kmeans.load_assignments(clusters)
    if representations is not None and rows is not None:
      named = identities.of_names(found["filenames"])
      identities.NOTHING.check_rows(clusters, rows, representations, named)
  return found


def _verify_entry(folder, entry, given: _Given) -> outcome.Verification:
  path = folder / entry["path"]
  transform = None
  name = entry.get("transform")
  features = given.features
  raw = name in UNTRANSFORMED
  if features is not None and not raw:
    at = folder / (
        entry.get("transform_path") or f"transforms/{name}/transform.npz"
    )
    if not at.is_file():
      features = None  # Nothing to recompute with; reported as skipped.
  strategy = _strategy(entry)
  rule = labels = None
  if strategy is not None:
    rule = strategy.rule
    if strategy.labels == "cluster":
      labels = given.clusters
    elif entry.get("level"):
      labels = given.levels.get(entry["level"])
  try:
    if features is not None and not raw:
      transform = transforms.load(at)
    return one_file.verify(
        path,
        image_filenames=given.filenames,
        labels=labels,
        rule=rule,
        classes_from_names=strategy is not None and strategy.labels == "class",
        features=features,
        transform=transform,
    )
  except AlignetError as e:
    missing = outcome.Check(name="readable", status="fail", message=str(e))
    return outcome.Verification(path=str(path), n=None, checks=(missing,))


def _strategy(entry) -> sampling.Strategy | None:
  """What the sampling's name says; a name of others says nothing."""
  try:
    return sampling.parse(entry["sampling"]) if entry.get("sampling") else None
  except AlignetError:
    return None


def _sums(folder: pathlib.Path) -> outcome.Check:
  """Every file that SHA256SUMS lists, and no other."""
  if not (folder / SUMS).is_file():
    return outcome.skipped("checksums", SUMS)
  listed = {}
  for line in (folder / SUMS).read_text(errors="replace").splitlines():
    digest, _, name = line.partition("  ")
    listed[name] = digest
  there = {
      path.relative_to(folder).as_posix()
      for path in folder.rglob("*")
      if path.is_file()
  } - {SUMS}
  missing = sorted(set(listed) - there)
  changed = [
      name
      for name in progress.bar(sorted(there & set(listed)), desc="sha256")
      if files.sha256(folder / name) != listed[name]
  ]
  more = sorted(there - set(listed))
  said = [
      f"{len(which)} {what}, first {which[0]}"
      for what, which in (
          ("missing", missing),
          ("changed", changed),
          ("not listed", more),
      )
      if which
  ]
  return outcome.Check(
      name="checksums",
      status="fail" if missing or changed else "warn" if more else "pass",
      message=f"{len(listed)} files" + "".join(f"; {text}" for text in said),
  )


def _splits(folder, entries, found) -> Iterator[outcome.Check]:
  """Train and validation of one transform and sampling share no triplet."""
  groups = {}
  for entry, verification in zip(entries, found):
    key = (entry.get("source"), entry.get("sampling"))
    if verification.ok and verification.n and entry.get("sampling"):
      split = "val" if entry["split"] == "valid" else entry["split"]
      groups.setdefault(key, {}).setdefault(split, folder / entry["path"])
  for (source, strategy), splits in groups.items():
    if not {"train", "val"} <= set(splits):
      continue
    train, val = (npz.open(splits[s]).indices for s in ("train", "val"))
    largest = int(max(train.max(), val.max())) + 1
    keys = [layout.keys_of_sets(x, largest) for x in (val, train)]
    shared = int(np.isin(*keys).sum())
    yield outcome.check(
        "disjoint",
        not shared,
        f"{'/'.join(filter(None, (source, strategy)))}: {shared} of"
        f" {len(val)} validation rows have the images of a training row",
        "warn",
    )
