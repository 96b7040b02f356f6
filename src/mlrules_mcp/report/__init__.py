"""How answers are written down: as data for JSON and as text for people and assistants."""
