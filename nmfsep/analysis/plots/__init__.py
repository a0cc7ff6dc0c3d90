"""Pictures, drawn by matplotlib, which is loaded where one is drawn."""
