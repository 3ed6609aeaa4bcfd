"""What people look at: contact sheets, detail crops, HTML pages, the state of this machine."""
