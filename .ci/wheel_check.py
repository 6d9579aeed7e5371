"""Builds the wheel, installs it elsewhere and uses it from there.

  python .ci/wheel_check.py [--no-demo]

In a folder outside the checkout, with the checkout nowhere on the path: every
config resolves by name and loads, and `alignet run demo` ends well. The
libraries are those of the Python that runs this.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

_ROOT = pathlib.Path(__file__).resolve().parent.parent

_CHECK = """
import pathlib, sys
import alignet
from alignet.io import config_files
import response_generation
import uncertainty_distillation
site = pathlib.Path(sys.argv[1])
for module in (alignet, response_generation, uncertainty_distillation):
  assert site in pathlib.Path(module.__file__).parents, module.__file__
names = config_files.names()
assert names, "no config in the wheel"
for name in names:
  path = config_files.resolve(name)
  assert site in path.parents, path
  config_files.load(name)
  print("resolves and loads:", name)
"""


def main(argv: list[str]) -> int:
  """Runs all checks; the first that fails is an exception."""
  with tempfile.TemporaryDirectory(prefix="alignet_wheel_") as temporary:
    folder = pathlib.Path(temporary).resolve()
    site, work = folder / "site", folder / "work"
    work.mkdir()
    env = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}

    def run(*command: str | pathlib.Path, cwd: pathlib.Path = work) -> None:
      print("$", *command, flush=True)
      subprocess.run([*map(str, command)], cwd=cwd, env=env, check=True)

    python = pathlib.Path(sys.executable)
    build = (python, "-m", "hatchling", "build", "-t", "wheel")
    run(*build, "-d", folder / "dist", cwd=_ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    install = (python, "-m", "pip", "install", "--quiet", "--no-deps")
    run(*install, "--target", site, wheel)
    run(python, "-c", _CHECK, site)
    run(site / "bin" / "alignet", "--help")
    if "--no-demo" not in argv:
      run(site / "bin" / "alignet", "run", "demo", "--out=demo")
  print("the wheel works")
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
