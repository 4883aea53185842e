"""What a Django user would trip over in the settings."""

from django.conf import settings
from django.core.checks import CheckMessage, Warning

API_MIDDLEWARE = "core.api.middleware.ApiMiddleware"


def check_middleware_below_api(**options: object) -> list[CheckMessage]:
    """Name every middleware below ApiMiddleware that is not declared to be for browsers only."""
    names = list(settings.MIDDLEWARE)
    if API_MIDDLEWARE not in names:
        return []
    return [
        Warning(
            f"The API never runs {name}, which is below {API_MIDDLEWARE} in MIDDLEWARE.",
            hint="Move it above, or add it to BROWSER_ONLY_MIDDLEWARE if the API does not need it.",
            id="core.W001",
        )
        for name in names[names.index(API_MIDDLEWARE) + 1 :]
        if name not in settings.BROWSER_ONLY_MIDDLEWARE
    ]
