import sys

from response_generation import beam as command


def test_without_beam_it_says_what_to_install(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  assert command.main(["beam"]) == 2
  assert "pip install 'alignet[beam]'" in capsys.readouterr().err


def test_a_word_among_our_flags_is_not_taken_for_one_of_beams(capsys):
  assert command.main(["beam", "stray", "--runner=FnApiRunner"]) == 2
  assert "unexpected argument 'stray'" in capsys.readouterr().err
