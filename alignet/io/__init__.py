"""Bytes on disk, whole or not at all: files, folders, downloads, archives."""
