"""Any matrix: read from files or images, factorized by any model, written with a manifest."""
