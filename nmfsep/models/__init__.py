"""Other models of a matrix: convolutive, deep, semi-nonnegative, clusterings, a network, and an estimator."""
