"""A good file of the tests: its images and what it was made from."""

from alignet import transforms
import numpy as np

N = 60
LABELS = np.arange(N) % 6
NAMES = np.array([f"n{i}.JPEG" for i in range(N)])
FEATURES = np.random.default_rng(0).standard_normal((N, 8))
TRANSFORM = transforms.Transform(
    weights=np.random.default_rng(1).standard_normal((8, 5)) * 0.4,
    bias=np.full(5, 0.1),
    mean=0.2,
    std=1.5,
)
ALL = {
    "image_filenames": NAMES,
    "labels": LABELS,
    "rule": "border",
    "features": FEATURES,
    "transform": TRANSFORM,
}
