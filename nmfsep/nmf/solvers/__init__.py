"""How a problem is minimised: one solver a file, each a start and a step; the loop is fit's."""
