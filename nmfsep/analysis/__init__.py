"""Description of stems, and figures of how near they come to the true ones."""
