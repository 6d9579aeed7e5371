import sys

from response_generation.beam import __main__ as command


def test_without_beam_it_says_what_to_install(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  assert command.main(["beam"]) == 2
  assert "pip install 'alignet[beam]'" in capsys.readouterr().err
