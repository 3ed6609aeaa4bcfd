"""Output for people: contact sheets, detail crops, HTML pages, and the diagnosis of an installation."""
