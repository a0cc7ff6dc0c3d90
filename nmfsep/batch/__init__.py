"""Many files: pools of processes, a cluster, separation of many tracks, and learning from many recordings."""
