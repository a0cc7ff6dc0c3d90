"""Guidance: what is known of the stems before the fit."""
