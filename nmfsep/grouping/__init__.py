"""Blind separation: which templates belong to one source."""
