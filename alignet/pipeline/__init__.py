"""Strings the stages together: from images to a report, in one command."""
