"""Galleries of mined pairs: what is written stays in its place."""

from alignet.collect import figures
import numpy as np
import pytest


@pytest.mark.parametrize(
    "name",
    [
        "wolf",
        "magenta outlined dotted trefoil",
        "American Staffordshire terrier, pit bull terrier",
    ],
)
def test_class_names_stay_beside_their_pair(name):
  images = np.zeros((4, 2, 8, 8, 3), np.uint8)
  fig = figures.pair_gallery(images, np.ones((4, 2)), [name] * 4)
  (ax,) = fig.axes
  fig.canvas.draw()
  titles = [t for t in ax.texts if t.get_weight() == "bold"]
  assert len(titles) == 4
  boxes = [t.get_window_extent() for t in titles]
  rows = sorted({round(b.y1) for b in boxes})
  assert len(rows) == 2
  pictures = [image.get_window_extent() for image in ax.images]
  for box in boxes:
    assert box.x1 <= fig.get_window_extent().x1
    assert not any(box.overlaps(picture) for picture in pictures)
  others = [t.get_window_extent() for t in ax.texts if t not in titles]
  assert not any(box.overlaps(other) for box in boxes for other in others)
