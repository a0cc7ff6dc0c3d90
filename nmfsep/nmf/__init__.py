"""Factorization of matrices; knows nothing of sound."""
