"""The arithmetic of one iteration.

Kernels see the transposes, which lie in memory frame by frame: Xt (frames, bins), Wt (components, bins) and
Zt (frames, components), all C-contiguous. `reference` is the definition; the other modules have the same names and
signatures and must agree with it.
"""
