"""Parameters of a ViT's blocks: apart, or stacked as `ViT.scan` has them.

Names are those of flat parameters, with anything before `Transformer`: apart
`Transformer/encoderblock_{i}/…`, stacked `Transformer/encoderblock/…`, with a
leading axis of depth; as big_vision has them.
"""

from collections.abc import Iterable, Mapping
import re
from typing import Any

import numpy as np

_APART = re.compile(r"(.*\bTransformer/encoderblock)_(\d+)(/.+)")
_STACKED = re.compile(r"(.*\bTransformer/encoderblock)(/.+)")


def are_stacked(names: Iterable[str]) -> bool:
  """Whether these are names of stacked blocks."""
  return any(_STACKED.fullmatch(name) for name in names)


def stack(params: Mapping[str, Any]) -> dict[str, Any]:
  """Stacks blocks that are apart.

  A parameter that a block lacks, or that has another shape in one, stays apart.

  Args:
    params: flat, name to array.
  """
  found, rest = {}, {}
  for name, value in params.items():
    if match := _APART.fullmatch(name):
      found.setdefault(match[1] + match[3], {})[int(match[2])] = name
    else:
      rest[name] = value
  for name, parts in found.items():
    values = [params[parts[i]] for i in sorted(parts)]
    if len({np.shape(v) for v in values}) > 1 or max(parts) >= len(parts):
      rest |= {part: params[part] for part in parts.values()}
    else:
      rest[name] = np.stack(values)
  return rest


def unstack(params: Mapping[str, Any]) -> dict[str, Any]:
  """Takes stacked blocks apart; the inverse of `stack`.

  Args:
    params: flat, name to array.
  """
  result = {}
  for name, value in params.items():
    match = _STACKED.fullmatch(name)
    if match is None or not np.ndim(value):
      result[name] = value
      continue
    for i, part in enumerate(value):
      result[f"{match[1]}_{i}{match[2]}"] = part
  return result
