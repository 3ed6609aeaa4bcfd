"""`python -m uhrmat` is the `uhrmat` command."""

from uhrmat.cli.app import main

main()
