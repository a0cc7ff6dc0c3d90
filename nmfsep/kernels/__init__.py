"""The arithmetic of one iteration, in several implementations that agree to rounding; `select` chooses one."""
