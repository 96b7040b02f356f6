"""The tools: one file each, whose `build` makes it. The server offers every one it finds here."""
