"""What pictures and clips show, what may be done with them, and what becomes of a catalogue item they belong to."""
