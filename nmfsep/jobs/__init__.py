"""Files in, files out: inputs, plan, memory, the separation of one file, its manifest, and inspection."""
