"""What a newcomer without the right Python reads."""

import subprocess

import pytest

from tools.devcluster.keeper import CHECKOUT


@pytest.mark.parametrize(
    ("python", "remedy"),
    [
        ("#!/bin/sh\nexit 1\n", "Debian 12+, Ubuntu 24.04+: apt install python3 python3-venv."),
        ('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n', "has no venv module. Debian, Ubuntu: apt install python3-venv."),
    ],
    ids=["too old", "without ensurepip"],
)
def test_a_python_that_will_not_do_is_refused_with_the_remedy(tmp_path, python, remedy):
    (tmp_path / "python").write_text(python)
    (tmp_path / "python").chmod(0o755)

    done = subprocess.run(
        [CHECKOUT / "tools" / "bootstrap.sh"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(tmp_path / "python")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert remedy in done.stderr
    assert not (tmp_path / ".venv").exists()
