"""What becomes a catalogue and events: one file a format. No Flask, no database."""
