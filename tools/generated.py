"""A file that is generated from the code: written, or with `--check` compared.

Knows files and exit statuses. Must not know what any of them says.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent


def write_or_check(file: Path, text: Callable[[], str], *, module: str, arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` say whether it is up to date: exit status 1 when it is not."""
    name = file.relative_to(ROOT)
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"Write {name} from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the file is not up to date")
    if not parser.parse_args(arguments).check:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text(), encoding="utf-8")
        return 0
    if file.exists() and file.read_text(encoding="utf-8") == text():
        return 0
    print(f"{name} is not what the code says; run: python -m {module}", file=sys.stderr)
    return 1
