"""Networks of any kind as functions from images to features."""
