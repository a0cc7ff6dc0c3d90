"""Mixture to stems: templates and activations are fitted, and masks made of them share the mixture out."""
