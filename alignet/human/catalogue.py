"""Published data: where it is, whose it is, what its checksums are.

The catalogue holds no address and no checksum that is not written down in
public by somebody who uses it; `File.note` says where it is from.
"""

from collections.abc import Mapping
import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
  """A file of a dataset.

  Attributes:
    name: its name after the download; one of the catalogue may have folders.
    url: its address, or None where it is not known: then with --url only.
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
    about: what it holds, in a few words.
    licence: its name, and how sure that is.
    citation: what to cite.
    homepage: where people read about it.
  """

  name: str
  files: tuple[File, ...]
  about: str = ""
  licence: str = "not known to alignet"
  citation: str = "not known to alignet"
  homepage: str = "not known to alignet"


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
            about=(
                "4.7 million odd-one-out choices and the 1,854 concepts, both"
                " checksums known"
            ),
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
            about="VICE's embedding and two tables of names",
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
            about=(
                "people's choices at three levels of abstraction, made"
                " levels.npz without running anything in the pickle"
            ),
            files=(
                File(
                    name="pruned_dataset.pkl",
                    url=(
                        "https://gin.g-node.org/fborn/Dataset_Levels/raw/master"
                        "/processed_data/pruned_dataset.pkl"
                    ),
                    note=(
                        "address in a public project that downloads it; a"
                        " pickle, never loaded as such: see"
                        " alignet.human.levels"
                    ),
                ),
            ),
            licence="see the dataset's page; none is known to alignet",
            citation=_MUTTENTHALER_2025,
            homepage="https://gin.g-node.org/fborn/Dataset_Levels",
        ),
        Dataset(
            name="breeds",
            about="the class hierarchy of the BREEDS benchmarks",
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
            about="RDMs of 92 objects",
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
            name="king2019",
            about="arrangements of 144 images",
            files=(
                File(
                    name="BEHAVIOR.mat",
                    url=None,
                    note="named in a public project that reads it",
                ),
            ),
            licence="see the authors' page; none is known to alignet",
            citation=(
                "King, Groen, Steel, Kravitz & Baker (2019), Similarity"
                " judgments and cortical visual responses reflect different"
                " properties of object and scene categories in naturalistic"
                " images, NeuroImage 197, 368-382"
            ),
            homepage="https://doi.org/10.1016/j.neuroimage.2019.04.079",
        ),
        Dataset(
            name="cichy2019",
            about="arrangements of 118 images",
            files=(
                File(
                    name="judgments_general.mat",
                    url=None,
                    note="named in a public project that reads it",
                ),
            ),
            licence="see the authors' page; none is known to alignet",
            citation=(
                "Cichy, Kriegeskorte, Jozwik, van den Bosch & Charest (2019),"
                " The spatiotemporal neural dynamics underlying perceived"
                " similarity for real-world objects, NeuroImage 194, 12-24"
            ),
            homepage="https://doi.org/10.1016/j.neuroimage.2019.03.031",
        ),
        Dataset(
            name="peterson",
            about="ratings of 120 images a category",
            files=tuple(
                File(name=name, url=None, note=note)
                for name, note in (
                    (
                        "turkResults_CogSci2016.mat",
                        "the animals, named in public projects that read it",
                    ),
                    (
                        "fruits_mturkRESULTS_all.pickle",
                        "named in a public project that reads it; a pickle,"
                        " never loaded as such: see"
                        " alignet.human.similarity_sets",
                    ),
                )
            ),
            licence="see the authors' page; none is known to alignet",
            citation=(
                "Peterson, Abbott & Griffiths (2016), Adapting deep network"
                " features to capture psychological representations, CogSci 38;"
                " the same (2018), Evaluating (and improving) the"
                " correspondence between deep neural networks and human"
                " representations, Cognitive Science 42, 2648-2669"
            ),
            homepage="https://github.com/jcpeterson/percept2vec",
        ),
        Dataset(
            name="hebart2020",
            about="choices among 48 objects",
            files=tuple(
                File(
                    name=name,
                    url=None,
                    note="named in public projects that read it",
                )
                for name in (
                    "RDM48_triplet.mat",
                    "RDM48_triplet_splithalf.mat",
                    "words48.mat",
                )
            ),
            licence="see the project's page; cblearn gives CC BY 4.0",
            citation=(
                "Hebart, Zheng, Pereira & Baker (2020), Revealing the"
                " multidimensional mental representations of natural objects"
                " underlying human similarity judgements, Nature Human"
                " Behaviour 4, 1173-1185"
            ),
            homepage="https://osf.io/z2784/",
        ),
        Dataset(
            name="alignet",
            about=(
                "the published triplets, gigabytes without --only, addresses"
                " never tried from here"
            ),
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
