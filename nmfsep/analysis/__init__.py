"""How near estimates come to the true stems."""
