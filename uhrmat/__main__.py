"""`python -m uhrmat` is the `uhrmat` command."""

from uhrmat.start import main

main()
