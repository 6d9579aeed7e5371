"""Representations of images: the store on disk, clusters of them."""
