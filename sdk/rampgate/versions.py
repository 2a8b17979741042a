"""Versions as people write them: semver.org, leniently.

Knows how they are written and ordered. Must not know what they are compared for.
"""

import re

Version = tuple[int, int, int, int]
"""Major, minor, patch, and 0 for a prerelease or 1 for a release: a prerelease sorts before its release."""

RELEASE = 1
"""What the last part of a release is."""

_VERSION = re.compile(r"[vV]?([0-9]{1,18})(?:\.([0-9]{1,18}))?(?:\.([0-9]{1,18}))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")


def parse_version(text: str) -> Version | None:
    """Read a version leniently (`v` allowed, minor and patch default to 0, build metadata ignored); None when it is none."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups(default="")
    return int(major), int(minor or 0), int(patch or 0), 0 if prerelease else RELEASE
