"""`python -m uhrmat` is the `uhrmat` command."""

from uhrmat.core.children import leave_current_folder

leave_current_folder()
from uhrmat.cli.start import main  # noqa: E402

main()
