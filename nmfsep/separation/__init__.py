"""Joins sound and factors: spectrogram and templates become stems."""
