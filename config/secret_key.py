"""The key that encrypts signing keys and signs cursors and sessions: a known or short one is refused."""

from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment

DEVELOPMENT_KEY = "development-only-key-that-is-long-enough-for-nobody-to-mistake-it-for-real"
SHORTEST = 50
FEWEST_CHARACTERS = 5  # different ones, as Django's own check asks for
GENERATED_PREFIX = "django-insecure-"  # of the keys that `startproject` writes into settings
REMEDY = (
    "Set it to 50 or more random characters that you keep, such as the output of "
    "`python3 -c 'import secrets; print(secrets.token_urlsafe(50))'`, or set DEBUG=1 for development."
)


def secret_key(env: Environment, *, debug: bool) -> str:
    """Return SECRET_KEY; with `debug` a key that everybody knows takes its place when it is not set.

    Raises ImproperlyConfigured, without `debug`, for a key that is missing, published, short or monotonous.
    """
    if debug:
        return env.text("SECRET_KEY", default=DEVELOPMENT_KEY)
    key = env.required("SECRET_KEY", remedy=REMEDY)
    if key == DEVELOPMENT_KEY:
        fault = "is the development key, which is published with the source code"
    elif key.startswith(GENERATED_PREFIX):
        fault = f"begins with {GENERATED_PREFIX}, as keys do that Django generates for development"
    elif len(key) < SHORTEST:
        fault = f"has {len(key)} characters, too few to be safe"
    elif len(set(key)) < FEWEST_CHARACTERS:
        fault = "repeats the same few characters"
    else:
        return key
    raise ImproperlyConfigured(f"SECRET_KEY {fault}. {REMEDY}")
