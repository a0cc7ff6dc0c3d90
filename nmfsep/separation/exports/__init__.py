"""What the activations of a separation say, in files that other programs read, one kind a file."""
