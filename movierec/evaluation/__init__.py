"""The only judge in the house: protocols, metrics, statistics. Pure: no Flask, no database."""
