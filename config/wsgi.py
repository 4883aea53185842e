import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SERVICE_ROLE", "web")  # keeps connections, bounds statements
application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018 -- loads all views now, not at the first request
