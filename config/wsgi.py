import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from config.server.wsgi_middleware import MeasuredBodies, WholeAnswers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SERVICE_ROLE", "web")  # keeps connections, bounds statements
application = WholeAnswers(MeasuredBodies(get_wsgi_application(), most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE))
get_resolver().url_patterns  # noqa: B018 -- loads all views now, not at the first request
