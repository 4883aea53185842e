import os

import django
from django.urls import get_resolver

from config.server.handler import DirectHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SERVICE_ROLE", "web")  # keeps connections, bounds statements
django.setup(set_prefix=False)
application = DirectHandler()
get_resolver().url_patterns  # noqa: B018 -- loads all views now, not at the first request
