"""The page of a dataset: clusters, triplets with answers, what changed."""

from collections.abc import Mapping, Sequence
import dataclasses

from alignet.io import files
from alignet.report import figures
from alignet.report import gallery
from alignet.report import page
from alignet.report import structure
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
  """What the page is drawn from.

  Attributes:
    title: of the page.
    counts: what was counted -> its number, shown as a table.
    cluster_names: title of each cluster shown, "name: more".
    cluster_images: (clusters, images, h, w, 3) uint8, images of each.
    triplets: (n, 3, h, w, 3) uint8 images of some triplets.
    names: (n, 3) names of those images.
    odd: who answers -> (n,) position of the odd one; "aligned" first.
    probabilities: (n, 3) aligned probability that a pair is the most similar.
    matrices: who -> (m, m) cosine similarities of m images sorted by cluster.
    matrix_groups: (m,) number of each image's cluster, as in `cluster_names`.
    entropies: who -> (k,) entropy of the targets in nats.
    note: a caveat in a box on top; "" for none.
  """

  title: str
  counts: Mapping[str, str]
  cluster_names: Sequence[str]
  cluster_images: np.ndarray
  triplets: np.ndarray
  names: np.ndarray
  odd: Mapping[str, np.ndarray]
  probabilities: np.ndarray
  matrices: Mapping[str, np.ndarray]
  matrix_groups: np.ndarray
  entropies: Mapping[str, np.ndarray]
  note: str = ""


def write(
    path: files.Path, dataset: Dataset, *, overwrite: bool = False
) -> None:
  """Writes the page as one self-contained HTML file.

  Raises:
    OutputExistsError: the file exists.
  """
  d = dataset
  others = [name for name in d.odd if name != "aligned"]
  sections = [
      page.Section(
          title="Counts",
          tables=(
              page.Table(
                  header=("what", "how many"),
                  rows=[[k, v] for k, v in d.counts.items()],
              ),
          ),
      ),
      page.Section(
          title="Clusters",
          text=(
              "A row a cluster, its images drawn at random. Do they have"
              " something in common?"
          ),
          figures=(
              (
                  gallery.montage(d.cluster_images, d.cluster_names),
                  "",
                  f"Images of {len(d.cluster_names)} clusters.",
              ),
          ),
      ),
      page.Section(
          title="Triplets and answers",
          text=(
              "The frame marks the image that the aligned representations call"
              " the odd one; percentages are the probabilities that they give"
              " to it. Below it, whether the others agree. Half of the triplets"
              " are such that they do not, where there are any."
          ),
          figures=[
              (
                  gallery.triplet_gallery(
                      d.triplets[i : i + 1],
                      d.odd["aligned"][i : i + 1],
                      {name: d.odd[name][i : i + 1] for name in others},
                      names=d.names[i : i + 1],
                      probabilities=d.probabilities[i : i + 1],
                      observers="aligned",
                  ),
                  "",
                  f"Triplet {i + 1}: {', '.join(map(str, d.names[i]))}.",
              )
              for i in range(len(d.triplets))
          ],
      ),
      page.Section(
          title="Similarity matrices",
          text="Images sorted by cluster, before and after the transform.",
          figures=(
              (
                  structure.similarity_matrices(
                      d.matrices,
                      d.matrix_groups,
                      [name.partition(":")[0] for name in d.cluster_names],
                      shared_scale=False,
                  ),
                  "Colours span the 1st to the 99th percentile off the"
                  " diagonal, one scale each.",
                  f"Similarity matrices: {', '.join(d.matrices)}.",
              ),
          ),
      ),
      page.Section(
          title="How certain the answers are",
          text=(
              "Entropy of the choice probabilities: 0 where an answer is"
              " certain, ln 3 where it is uniform."
          ),
          figures=(
              (
                  figures.entropy_histogram(d.entropies),
                  "",
                  "Histogram of the entropies of the answers.",
              ),
          ),
      ),
  ]
  subtitle = "Clusters, triplets, and the answers of the representations."
  page.write(
      path, d.title, subtitle, sections, note=d.note, overwrite=overwrite
  )
