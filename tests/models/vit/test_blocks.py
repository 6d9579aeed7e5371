from alignet.models.vit import blocks
import numpy as np

_APART = {
    "backbone/Transformer/encoderblock_0/LayerNorm_0/bias": np.zeros(3),
    "backbone/Transformer/encoderblock_1/LayerNorm_0/bias": np.ones(3),
    "backbone/Transformer/encoder_norm/bias": np.ones(2),
    "triplet_head/bias": np.ones(4),
}
_STACKED = "backbone/Transformer/encoderblock/LayerNorm_0/bias"


def test_there_and_back():
  stacked = blocks.stack(_APART)
  assert not blocks.are_stacked(_APART) and blocks.are_stacked(stacked)
  assert len(stacked) == 3
  np.testing.assert_array_equal(stacked[_STACKED], [[0.0] * 3, [1.0] * 3])
  assert blocks.stack(stacked) == stacked
  again = blocks.unstack(stacked)
  assert again.keys() == _APART.keys()
  for name, value in _APART.items():
    np.testing.assert_array_equal(again[name], value)


def test_the_order_is_of_numbers_and_no_prefix_is_needed():
  name = "Transformer/encoderblock_{}/x"
  apart = {
      name.format(i): np.array(i) for i in (10, 2, *range(2), *range(3, 10))
  }
  stacked = blocks.stack(apart)
  np.testing.assert_array_equal(
      stacked["Transformer/encoderblock/x"], np.arange(11)
  )


def test_what_does_not_fit_stays_apart():
  first, second = list(_APART)[:2]
  for wrong in (
      {first: np.zeros(3), second: np.zeros(2)},
      {second: np.zeros(3)},
  ):
    assert blocks.stack(wrong).keys() == wrong.keys()
  scalar = {_STACKED: np.array(1.0)}
  assert blocks.unstack(scalar).keys() == scalar.keys()
