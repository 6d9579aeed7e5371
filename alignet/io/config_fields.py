"""What the objects of a config accept, read from source that nobody imports.

Importing Kauldron takes ten seconds; a mistyped key is told in less.
"""

import ast
from collections.abc import Iterator, Sequence
import functools
import importlib.machinery
import importlib.util
import pathlib

_ROOTS = ("object", "ABC", "Generic", "Protocol", "NamedTuple")


def accepted(qualname: str) -> frozenset[str] | None:
  """Fields of a dataclass, or parameters of a function.

  Args:
    qualname: as konfig writes it, such as "kauldron.kd:train.Trainer".

  Returns:
    The names, those of base classes among them; None where the source does not
    tell, as for code that is compiled or made when it runs.
  """
  module, _, attributes = qualname.partition(":")
  try:
    return _accepted(*_definition(module, attributes.split(".")))
  except LookupError:
    return None


def _accepted(module: str, node: ast.AST) -> frozenset[str]:
  if isinstance(node, ast.FunctionDef):
    return _parameters(node)
  if not isinstance(node, ast.ClassDef):
    raise LookupError(f"{module}: neither a class nor a function")
  names = {
      field.target.id: "init=False" not in ast.unparse(field)
      for field in node.body
      if isinstance(field, ast.AnnAssign)
      and isinstance(field.target, ast.Name)
      and "ClassVar" not in ast.unparse(field.annotation)
  }
  names = {n for n, given in names.items() if given and not n.startswith("_")}
  for method in node.body:
    if isinstance(method, ast.FunctionDef) and method.name == "__init__":
      return _parameters(method) - {"self"}
  for base in node.bases:
    path = _path(base.value if isinstance(base, ast.Subscript) else base)
    if path[-1] not in _ROOTS:
      names |= _accepted(*_definition(module, path))
  return frozenset(names)


def _parameters(function: ast.FunctionDef) -> frozenset[str]:
  named = function.args
  return frozenset(
      a.arg for a in (*named.posonlyargs, *named.args, *named.kwonlyargs)
  )


def _path(node: ast.AST) -> list[str]:
  """["a", "b"] of the expression `a.b`."""
  if isinstance(node, ast.Attribute):
    return [*_path(node.value), node.attr]
  if isinstance(node, ast.Name):
    return [node.id]
  raise LookupError(ast.unparse(node))


def _definition(module: str, names: Sequence[str]) -> tuple[str, ast.AST]:
  """The module that defines `names` of a module, and the definition."""
  first, *rest = names
  for node in _statements(_tree(module)):
    match node:
      case ast.ClassDef(name=name) | ast.FunctionDef(name=name) if (
          name == first and not rest
      ):
        return module, node
      case ast.ImportFrom(names=aliases):
        for alias in aliases:
          if (alias.asname or alias.name) == first:
            home = _absolute(module, node)
            if _file(f"{home}.{alias.name}"):
              return _definition(f"{home}.{alias.name}", rest or [alias.name])
            return _definition(home, [alias.name, *rest])
      case ast.Import(names=aliases):
        for alias in aliases:
          if alias.asname == first:
            return _definition(alias.name, rest)
      case ast.Assign(
          targets=[ast.Name(name)], value=ast.Name() | ast.Attribute()
      ) if (name == first):
        return _definition(module, [*_path(node.value), *rest])
      case ast.Call(func=ast.Attribute(attr="exports"), args=[_, homes]):
        # `alignet.io.lazy`: a dict from names to modules.
        home = ast.literal_eval(homes).get(first)
        if home:
          return _definition(f"{module}.{home}", names)
  if rest and _file(f"{module}.{first}"):
    return _definition(f"{module}.{first}", rest)
  raise LookupError(f"{module} defines no {first}")


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
  """Of a module, also those under `with`, `if` and `try`."""
  for node in ast.iter_child_nodes(tree):
    yield node
    if isinstance(node, ast.With | ast.If | ast.Try | ast.Assign):
      yield from _statements(node)


def _absolute(module: str, node: ast.ImportFrom) -> str:
  """The module that `from … import` names."""
  if not node.level:
    return node.module
  package = module
  if _file(module).name != "__init__.py":
    package = module.rpartition(".")[0]
  return importlib.util.resolve_name(
      "." * node.level + (node.module or ""), package
  )


def _tree(module: str) -> ast.Module:
  path = _file(module)
  if path is None:
    raise LookupError(f"no source of {module}")
  return _parsed(path)


@functools.cache
def _parsed(path: pathlib.Path) -> ast.Module:
  return ast.parse(path.read_bytes())


@functools.cache
def _file(module: str) -> pathlib.Path | None:
  """The source of a module, without importing its packages."""
  spec, parts = None, module.split(".")
  for i in range(len(parts)):
    where = spec.submodule_search_locations if spec else None
    if i and where is None:
      return None
    spec = importlib.machinery.PathFinder.find_spec(
        ".".join(parts[: i + 1]), where
    )
    if spec is None:
      return None
  if not spec.origin or not spec.origin.endswith(".py"):
    return None
  return pathlib.Path(spec.origin)
