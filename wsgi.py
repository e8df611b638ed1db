"""What a WSGI server loads: `gunicorn wsgi:app`."""

from movierec import create_app

app = create_app()
