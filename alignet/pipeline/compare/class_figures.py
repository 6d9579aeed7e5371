"""Pictures of how models arrange classes: matrices, maps, trees."""

from collections.abc import Mapping, Sequence

from alignet.evals.model import Model
from alignet.evals.scores import hierarchy
from alignet.report import page
from alignet.report import projection
from alignet.report import structure
from alignet.report import tree as tree_figures
import numpy as np


def section(models: Mapping[str, Model], levels: Sequence[str]) -> page.Section:
  """Distances between the means of classes, drawn in three ways.

  Args:
    models: name -> representations of the same images, in the order shown.
    levels: of their labels, from fine to coarse: classes are of the first,
      colours of the last.

  Raises:
    AlignetError: fewer than two classes.
  """
  labels = next(iter(models.values())).labels
  fine, coarse = labels[levels[0]], labels[levels[-1]]
  tree = hierarchy.tree([labels[level].ids for level in levels])
  distances = {
      name: hierarchy.class_distances(m.features, tree, kind=m.kind)
      for name, m in models.items()
  }
  first = np.unique(tree.classes[tree.classes >= 0], return_index=True)[1]
  images = np.flatnonzero(tree.classes >= 0)[first]
  names = fine.names[fine.ids[images]]
  if len(levels) > 1:
    groups, group_names = coarse.ids[images], coarse.names
  else:
    groups, group_names = np.zeros(len(images), int), [f"{levels[0]} classes"]
  label = "relative distance (mean = 1)"
  points = {name: projection.mds_2d(d) for name, d in distances.items()}
  what = f"{len(images)} classes ({levels[0]}), by {levels[-1]}"
  which = " and ".join(distances)
  figures = (
      (
          structure.similarity_matrices(
              distances, groups, group_names, label=label, rows_are="classes"
          ),
          f"Distances of {what}: the darker, the closer. Colours span the 1st"
          " to the 99th percentile, one scale for all.",
          f"Matrices of distances between classes, {which}, sorted by"
          f" {levels[-1]}.",
      ),
      (
          structure.maps(
              {name: p.points for name, p in points.items()},
              groups,
              group_names,
              explained={name: p.explained for name, p in points.items()},
          ),
          f"Classical multidimensional scaling of {what}; axes are fitted to"
          " each model on its own.",
          f"Two-dimensional maps of classes, {which}, coloured by"
          f" {levels[-1]}.",
      ),
      (
          tree_figures.dendrograms(
              distances, names, groups, group_names, label=label
          ),
          f"Average linkage of {what}. A branch is coloured where all classes"
          " below it are of one group.",
          f"Dendrograms of classes, {which}, coloured by {levels[-1]}.",
      ),
  )
  kinds = {name: _distance(m.kind) for name, m in models.items()}
  text = (
      "Each class is the mean of its images, and distances are divided by their"
      " mean, so that scales do not matter. Distance: "
      + "; ".join(f"{name}, {kind}" for name, kind in kinds.items())
      + "."
  )
  return page.Section(
      title="Matrices, maps and trees of classes", text=text, figures=figures
  )


def _distance(kind) -> str:
  return "1 − cosine" if kind == "cosine" else "squared Euclidean distance"
