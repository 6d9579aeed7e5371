"""ViT-B/16, with the readout of `student/siglip_b_readout`."""

from alignet.io import config_files


def get_config():
  """The experiment."""
  return config_files.load(
      "student/siglip_b_readout", cfg=config_files.load("student/vit_b")
  )
