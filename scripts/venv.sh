# Sourced by ./try and ./check: one virtual environment in $UHRMAT_VENV (default .venv), made once and brought up to date.
#   PYTHON       the Python to use (default python3)
#   UHRMAT_VENV  where the environment goes

venv=${UHRMAT_VENV:-.venv}

die() {
    echo "error: $*" >&2
    exit 2
}

# make_venv WHAT: install WHAT ("." or ".[dev]") with the versions of constraints.txt
make_venv() {
    if [ ! -x "$venv/bin/python" ]; then
        py=${PYTHON:-python3}
        command -v "$py" >/dev/null 2>&1 || die "there is no $py. Install Python 3.10 or later, or name one: PYTHON=/path/to/python3 $0"
        "$py" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
            die "$py is $("$py" -V 2>&1); 3.10 or later is needed. Name another one: PYTHON=python3.11 $0"
        "$py" -c 'import ensurepip, venv' 2>/dev/null ||
            die "$py comes without its venv module. On Debian or Ubuntu: apt-get install python3-venv"
        "$py" -m venv "$venv"
    fi
    echo "== installing into $venv (torch is the bulk of it)"
    "$venv/bin/python" -m pip install -qq --no-compile --disable-pip-version-check -c constraints.txt -e "$1" ||
        die "the installation failed, see above. To start over: rm -r $venv"
}

# PyMatting compiles its solvers at its very first import.
warm_pymatting() {
    echo "== compiling PyMatting's solvers (the first time only, about 40 s)"
    "$venv/bin/python" -c 'import pymatting'
}
