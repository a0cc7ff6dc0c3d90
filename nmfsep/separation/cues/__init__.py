"""What a separation can be told before the fit, one kind of cue a file."""
