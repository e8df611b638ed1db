"""What counting engines and nets share: item-to-item tables (transitions, EASE, neighbours) and their serving form."""
