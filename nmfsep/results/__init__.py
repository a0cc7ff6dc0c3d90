"""What is done with what runs wrote: describe it, mix it, show it, make it again."""
