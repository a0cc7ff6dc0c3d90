"""The page of a report: its HTML, style and scripts, and what fills them."""
