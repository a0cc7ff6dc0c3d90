"""Waveforms that are known or repeated, taken off a mixture sample by sample."""
