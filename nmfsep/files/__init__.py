"""Bytes on disk: names, formats, containers and archives; knows nothing of what sounds mean."""
