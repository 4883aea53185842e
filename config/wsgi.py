import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SERVICE_ROLE", "web")  # brings the pool and the statement timeout
application = get_wsgi_application()
