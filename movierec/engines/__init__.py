"""The engines: one file each, pure (numpy, pydantic; torch only while training), found by being in this folder."""
