"""What a WSGI server and `flask` load: `gunicorn wsgi:app`."""

import os
import sys

from movierec import create_app
from movierec.config import BadConfig
from movierec.extensions import BadDatabase
from movierec.services import storage

try:
    app = create_app()
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":  # there, `flask seed` may be about to make the database
        storage.check(app)
except (BadConfig, BadDatabase) as error:
    sys.exit(f"movierec can't start. {error}")
