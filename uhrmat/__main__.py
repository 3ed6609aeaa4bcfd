"""`python -m uhrmat` is the `uhrmat` command."""

from uhrmat.children import leave_current_folder

leave_current_folder()
from uhrmat.start import main  # noqa: E402

main()
