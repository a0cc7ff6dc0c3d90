"""Sound to time-frequency and back; knows nothing of factors."""
