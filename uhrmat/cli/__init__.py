"""The `uhrmat` command: thin typer commands, one file each. No logic lives here."""
