"""Published human data: a catalogue, downloads, checksums.

The catalogue holds no address and no checksum that is not written down in
public by somebody who uses it; `File.note` says where it is from. What was
found is kept in `sha256.json` beside the files.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import fnmatch
import pathlib
import re
import urllib.parse

from alignet import files
from alignet.data import download
from alignet.errors import AlignetError

RECORD = "sha256.json"
"""File beside the downloads: sha256, size and address of each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
  """A file of a dataset.

  Attributes:
    name: its name after the download; one of the catalogue may have folders.
    url: its address, or None where it is not known.
    sha256: of its bytes, or None where it is not known.
    size: in bytes, or None where it is not known.
    note: where address and checksum are from.
  """

  name: str
  url: str | None
  sha256: str | None = None
  size: int | None = None
  note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
  """Files that belong together.

  Attributes:
    name: in the catalogue.
    files: what is downloaded.
    licence: its name, and how sure that is.
    citation: what to cite.
    homepage: where people read about it.
  """

  name: str
  files: tuple[File, ...]
  licence: str = "not known to alignet"
  citation: str = "not known to alignet"
  homepage: str = "not known to alignet"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fetched:
  """A file after `fetch`.

  Attributes:
    path: where it lies.
    sha256: of its bytes.
    checked: whether a checksum known beforehand was compared.
    downloaded: False where it was there already.
  """

  path: pathlib.Path
  sha256: str
  checked: bool
  downloaded: bool


_GITHUB = "https://raw.githubusercontent.com"
_VICE = f"{_GITHUB}/LukasMut/VICE/main"
_BREEDS = (
    f"{_GITHUB}/MadryLab/BREEDS-Benchmarks/master"
    "/imagenet_class_hierarchy/modified"
)
_MUTTENTHALER_2025 = (
    "Muttenthaler, Greff, Born, Spitzer, Kornblith, Mozer, Müller, Unterthiner"
    " & Lampinen (2025), Aligning machine and human visual representations"
    " across abstraction levels, Nature 647, 349-355"
)
# Of the authors' README; names: see each file's note.
_ALIGNET = "https://storage.googleapis.com/alignet/data/release_1.1"
_ALIGNET_FILES = (
    *(
        (f"alignet_{split}.npz", "named in the authors' README")
        for split in ("valid", "train")
    ),
    *(
        (
            f"{transform}/{split}_{sampling}.npz",
            "named as the authors' loader builds it; a public project names"
            " files of this folder",
        )
        for split in ("val", "train")
        for transform in ("uncertainty_distillation", "untransformed")
        for sampling in (
            *("cluster_border_500", "between_class"),
            *("class_border", "within_class"),
        )
    ),
)

CATALOGUE: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="things",
            files=(
                File(
                    name="triplets_large_final_correctednc_correctedorder.csv",
                    url="https://osf.io/h2smy/download",
                    sha256=(
                        "68f2bbc330b17537881f81b1aa806fc2"
                        "179b7accecc3a44d54fb25ae3de7f3e5"
                    ),
                    note=(
                        "address used by several public projects; sha256"
                        " pinned by one that downloads the same file"
                    ),
                ),
                File(
                    name="unique_id.txt",
                    url="https://osf.io/2y463/download",
                    sha256=(
                        "e2e59d02197e89776034938e7a73940a"
                        "0823cacac4b6084b56b1d8959816ff76"
                    ),
                    size=15201,
                    note=(
                        "address and sha256 of the same project; the sha256 is"
                        " that of the 1,854 names in order, a line each"
                    ),
                ),
            ),
            licence=(
                "see the project's page; cblearn gives CC BY 4.0 for its sister"
                " project, osf.io/z2784"
            ),
            citation=(
                "Hebart, Contier, Teichmann, Rockter, Zheng, Kidder, Corriveau,"
                " Vaziri-Pashkam & Baker (2023), THINGS-data, a multimodal"
                " collection of large-scale datasets for investigating object"
                " representations in human brain and behavior, eLife 12:e82580,"
                " doi:10.7554/eLife.82580"
            ),
            homepage="https://osf.io/f5rn6/",
        ),
        Dataset(
            name="vice",
            files=(
                File(
                    name="final_embedding.npy",
                    url=f"{_VICE}/embeddings/things/final_embedding.npy",
                    note=(
                        "address in get_embeddings.sh of the authors; its rows"
                        " are in another order than THINGS' concepts (20"
                        " differ), and which table of names has that order is"
                        " not documented"
                    ),
                ),
                File(
                    name="item_names.tsv",
                    url=f"{_VICE}/data/files/item_names.tsv",
                    note="address in get_embeddings.sh of the authors",
                ),
                File(
                    name="things_concepts.tsv",
                    url=f"{_VICE}/data/files/things_concepts.tsv",
                    note="address in get_embeddings.sh of the authors",
                ),
            ),
            licence="GPL-3.0, that of the authors' repository",
            citation=(
                "Muttenthaler, Zheng, McClure, Vandermeulen, Hebart & Pereira"
                " (2022), VICE: Variational Interpretable Concept Embeddings,"
                " NeurIPS 35, 33661-33675"
            ),
            homepage="https://github.com/LukasMut/VICE",
        ),
        Dataset(
            name="levels",
            files=(
                File(
                    name="pruned_dataset.pkl",
                    url=(
                        "https://gin.g-node.org/fborn/Dataset_Levels/raw/master"
                        "/processed_data/pruned_dataset.pkl"
                    ),
                    note=(
                        "address in a public project that downloads it; a"
                        " pickle, never loaded as such: see alignet.data.levels"
                    ),
                ),
            ),
            licence="see the dataset's page; none is known to alignet",
            citation=_MUTTENTHALER_2025,
            homepage="https://gin.g-node.org/fborn/Dataset_Levels",
        ),
        Dataset(
            name="breeds",
            files=tuple(
                File(
                    name=name,
                    url=f"{_BREEDS}/{name}",
                    note="folder named in the authors' code and documentation",
                )
                for name in (
                    "class_hierarchy.txt",
                    "dataset_class_info.json",
                    "node_names.txt",
                )
            ),
            licence="the authors' repository names none",
            citation=(
                "Santurkar, Tsipras & Madry (2021), BREEDS: Benchmarks for"
                " Subpopulation Shift, ICLR"
            ),
            homepage="https://github.com/MadryLab/BREEDS-Benchmarks",
        ),
        Dataset(
            name="mur2013",
            files=(
                File(
                    name="92_behavRDMs.mat",
                    url=(
                        f"{_GITHUB}/rsagroup/rsatoolbox_matlab/develop/Demos"
                        "/92imageData/92_behavRDMs.mat"
                    ),
                    note="folder named by public projects that read the file",
                ),
            ),
            licence="see the repository",
            citation=(
                "Mur, Meys, Bodurka, Goebel, Bandettini & Kriegeskorte (2013),"
                " Human object-similarity judgments reflect and transcend the"
                " primate-IT object representation, Frontiers in Psychology 4,"
                " 128"
            ),
            homepage="https://github.com/rsagroup/rsatoolbox_matlab",
        ),
        Dataset(
            name="alignet",
            files=tuple(
                File(
                    name=name,
                    url=f"{_ALIGNET}/{name}",
                    note=f"{note}; address never tried",
                )
                for name, note in _ALIGNET_FILES
            ),
            licence=(
                "CC BY 4.0 for the dataset, says the authors' README; parts"
                " under their own licences"
            ),
            citation=_MUTTENTHALER_2025,
            homepage="https://github.com/google-deepmind/alignet",
        ),
    )
}
"""Datasets by name. Of `things` both checksums are known, of others none.

The addresses of `alignet` were never tried."""


def find(
    name: str,
    *,
    url: str | None = None,
    sha256: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
) -> Dataset:
  """A dataset of the catalogue, or one file at an address of one's own.

  Args:
    name: in the catalogue; with `url` also the name of any file there.
    url: files are taken from `{url}/{file's name}`.
    sha256: of files by name, in the place of the catalogue's; the key "" means
      the only file.
    only: patterns such as "*/val_*"; files that fit none are left out.

  Returns:
    The dataset with these addresses and checksums.

  Raises:
    AlignetError: no such dataset or file, what is no sha256, no http
      address, patterns that no file fits.
  """
  if name in CATALOGUE:
    dataset = CATALOGUE[name]
  elif url is None:
    raise AlignetError(
        f"unknown dataset {name!r}; expected {', '.join(CATALOGUE)}, or the"
        " name of a file with --url=BASE"
    )
  else:
    dataset = Dataset(name=name, files=(File(name=name, url=None),))
  sha256 = dict(sha256 or {})
  if "" in sha256 and len(dataset.files) == 1:
    sha256[dataset.files[0].name] = sha256.pop("")
  known = {file.name for file in dataset.files}
  for file, value in sha256.items():
    if file not in known:
      raise AlignetError(
          f"sha256 of {file or 'a file without a name'}: {dataset.name} has the"
          f" files {', '.join(sorted(known))}; pass --sha256=FILE=HEX"
      )
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
      raise AlignetError(
          f"sha256 of {file}: expected 64 hexadecimal digits, found {value!r}"
      )
  if name not in CATALOGUE:
    _check_name(name)
  chosen = [
      file
      for file in dataset.files
      if not only or any(fnmatch.fnmatchcase(file.name, p) for p in only)
  ]
  if not chosen:
    raise AlignetError(
        f"no file of {dataset.name} fits {' or '.join(only)}; its files are"
        f" {', '.join(file.name for file in dataset.files)}"
    )
  changed = []
  for file in chosen:
    if url is not None:
      address = f"{url.rstrip('/')}/{urllib.parse.quote(file.name)}"
      file = dataclasses.replace(file, url=address)
    if file.url is not None:
      download.check_url(file.url)
    if file.name in sha256:
      digest = sha256[file.name].lower()
      file = dataclasses.replace(file, sha256=digest, size=None)
    changed.append(file)
  return dataclasses.replace(dataset, files=tuple(changed))


def fetch(
    dataset: Dataset,
    folder: files.Path,
    *,
    overwrite: bool = False,
    attempts: int = 5,
    wait: float = 1,
) -> list[Fetched]:
  """Downloads what is not there yet, and records the checksums.

  A file whose checksum is not known is compared with `sha256.json` of the
  folder, where an earlier download or another person has left one.

  Args:
    dataset: as `find` gives it.
    folder: gets the files and `sha256.json`.
    overwrite: download a file again that is there with another checksum, or
      with one that nobody knows.
    attempts: of one file without a further byte.
    wait: seconds after the first failure, doubled with each.

  Returns:
    Where each file lies and what it is.

  Raises:
    AlignetError: as `download.download`; no address is known; a file with
      another checksum is there.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  record = folder / RECORD
  recorded = files.read_json(record) if record.exists() else {}
  if not isinstance(recorded, dict):
    raise AlignetError(f"{record}: expected a JSON object; remove the file")
  done = []
  for file in dataset.files:
    path = folder / file.name
    before = recorded.get(file.name)
    expected = file.sha256
    if expected is None and isinstance(before, dict) and not overwrite:
      expected = before.get("sha256")
    found = files.sha256(path) if path.exists() else None
    if found is None:
      there = False
    elif expected is None:
      there = not overwrite
    else:
      there = found == expected
    if not there:
      if found is not None and not overwrite:
        raise AlignetError(
            f"{path} is there with the sha256 {found}, expected {expected};"
            " move it away, or pass --overwrite to download it again"
        )
      if file.url is None:
        raise AlignetError(
            f"no address of {file.name} is known; see {dataset.homepage} and"
            " pass --url=BASE"
        )
      path.parent.mkdir(parents=True, exist_ok=True)
      found = download.download(
          file.url,
          path,
          sha256=expected,
          size=file.size,
          attempts=attempts,
          wait=wait,
      )
    if not there or before is None:
      recorded[file.name] = {
          "sha256": found,
          "size": path.stat().st_size,
          "url": None if there else file.url,
      }
      files.write_json(record, recorded, overwrite=True)
    done.append(
        Fetched(
            path=path,
            sha256=found,
            checked=expected is not None,
            downloaded=not there,
        )
    )
  return done


def _check_name(name: str) -> None:
  if name in ("", ".", "..", RECORD) or re.search(r"[/\\:\0]", name):
    raise AlignetError(
        f"expected the name of a file without folders, found {name!r}; folders"
        " belong to --url=BASE"
    )
