"""ViT-B/16, with the loss of `student/siglip_b_dense`."""

from alignet.io import config_files


def get_config():
  """The experiment."""
  return config_files.load(
      "student/siglip_b_dense", cfg=config_files.load("student/vit_b")
  )
