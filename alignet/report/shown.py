"""How a source of scores is shown."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
  """A section of an evaluation's page: scores of one source.

  Attributes:
    title: of the section.
    text: what the scores say, and what they do not.
    is_directed: a larger score, or a smaller loss, is better; false for
      scores that describe.
    of_pair: the scores are of both models together, not of one.
    intervals: what they are over, where that needs a word.
  """

  title: str
  text: str
  is_directed: bool = True
  of_pair: bool = False
  intervals: str = ""
