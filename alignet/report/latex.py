"""Tables of a report as LaTeX, for a paper."""

from alignet.report import page

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "−": "$-$",
    "–": "--",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def table(content: page.Table, label: str = "") -> str:
  """A floating table with the rules of `booktabs`.

  Args:
    content: the table of a page.
    label: to refer to it.
  """
  columns = "l" + ("r" if content.numeric else "l") * (len(content.header) - 1)
  lines = [r"\begin{table}", r"\centering"]
  if content.caption:
    lines.append(rf"\caption{{{escape(content.caption)}}}")
  if label:
    lines.append(rf"\label{{{label}}}")
  lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
  lines.append(_row(content.header))
  lines.append(r"\midrule")
  lines += [_row(row) for row in content.rows]
  lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
  return "\n".join(lines) + "\n"


def escape(text: str) -> str:
  """The text with LaTeX's special characters as characters."""
  return "".join(_SPECIAL.get(c, c) for c in text)


def _row(cells) -> str:
  return " & ".join(map(escape, cells)) + r" \\"
