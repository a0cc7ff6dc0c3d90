"""Detection: where in a recording the sounds of a dictionary are heard."""
