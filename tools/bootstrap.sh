#!/bin/sh
# Bring .venv to what uv.lock says. Needs Python >= 3.11 with its venv module, nothing else; says what it does.
set -eu

UV_VERSION=0.13.9
venv=.venv

say() { echo "bootstrap: $*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    say "Rampgate needs Python 3.11 or newer; tried ${PYTHON:-python3 python3.13 python3.12 python3.11}."
    say "Debian 12+, Ubuntu 24.04+: apt install python3 python3-venv. Elsewhere: https://www.python.org/downloads/."
    say "Installed under another name? make PYTHON=/path/to/python3.12 …"
    exit 1
}

if ! is_new_enough "$venv/bin/python"; then
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        say "$python has no venv module. Debian, Ubuntu: apt install python3-venv."
        exit 1
    fi
    say "creating $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

if [ "$("$venv/bin/python" -m uv --version 2>/dev/null | cut -d ' ' -f 2)" != "$UV_VERSION" ]; then
    say "installing uv $UV_VERSION"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
fi

say "installing what uv.lock pins"
UV_PROJECT_ENVIRONMENT=$venv UV_PYTHON_DOWNLOADS=never "$venv/bin/python" -m uv sync --locked --all-extras --python "$venv/bin/python"
