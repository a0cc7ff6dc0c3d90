"""What is in a sound or a separation: found, described, shown and made audible."""
