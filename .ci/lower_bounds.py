"""Print the lower bounds of pyproject.toml as constraints for pip, whose option -c takes a file of them."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [text for texts in project["optional-dependencies"].values() for text in texts]
for requirement in sorted({*project["dependencies"], *extras}):
    bound = re.match(r"([\w-]+)(?:\[[\w,]+\])?\s*>=\s*([\w.]+)", requirement)
    if bound:
        marker = requirement.partition(";")[2]
        print("==".join(bound.groups()) + (f";{marker}" if marker else ""))
