"""Settings. What differs between machines comes from the environment: see docs/configuration.md."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from accounts.identity import scopes
from config.command_line import VERSION
from config.database import database_settings
from config.environment import Environment
from config.secret_key import secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(os.environ)
OIDC_REMEDY = (
    "OIDC_CLIENT_ID asks for a login through an OpenID provider: docs/staff-login.md has the settings."
)

DEBUG = env.flag("DEBUG")
SECRET_KEY = secret_key(env, debug=DEBUG)
# What load balancers, orchestrators and Prometheus ask by the machine's address, whatever ALLOWED_HOSTS says.
PROBE_PATHS = ["/healthz", "/readyz", "/metrics"]
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", default="localhost,127.0.0.1,[::1]" if DEBUG else "")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
VAR_DIR = Path(env.text("VAR_DIR", default=str(BASE_DIR / "var")))

INSTALLED_APPS = [
    "core.apps.ConsoleConfig",  # django.contrib.admin with our site
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "corsheaders",
    "mptt",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "core",
    "core.tenancy",
    "core.background",
    "core.imports",
    "core.journal",
    "core.revisions",
    "accounts",
    "accounts.identity",
    "catalog",
    "segments",
    "coupons",
    "events",
    "config",
    "config.server",
    "config.demo",
]

# What pages in browsers need and the API does not. `manage.py check` warns of any other middleware below
# ApiMiddleware.
BROWSER_ONLY_MIDDLEWARE = [
    "core.browser_security.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "core.admin.middleware.ReaderLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "core.admin.middleware.StaffActs",
    "core.admin.middleware.SiteTime",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "core.admin.middleware.ErrorPages",
]
MIDDLEWARE = [
    "core.observation.requests.ObservedRequests",
    "core.api.middleware.AllowedHosts",
    "core.api.middleware.CorsForBrowsers",
    "django.middleware.security.SecurityMiddleware",
    "core.api.middleware.ApiMiddleware",  # middleware below never runs for the API
    *BROWSER_ONLY_MIDDLEWARE,
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {
                "console": "core.admin.template_tags",
                "segment_pages": "segments.admin.template_tags",
            },
        },
    }
]

DATABASES = database_settings(os.environ, BASE_DIR)
# How many seconds a replica of DATABASE_REPLICA_URLS may lag behind; beyond that the primary is read.
REPLICA_MAX_LAG = env.number("REPLICA_MAX_LAG", default=5, least=1)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
SESSION_ENGINE = "config.sessions"
SESSION_COOKIE_AGE = env.number("ADMIN_SESSION_SECONDS", default=43_200, least=60)
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
LOGOUT_REDIRECT_URL = "admin:login"
CSRF_FAILURE_VIEW = "core.admin.error_pages.forged"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]  # of the admin; texts of the shop have any
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_AGE = 31_536_000
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = ["core.formats"]

# The groups of the admin's index and what is in them, in this order.
ADMIN_INDEX = {
    "Segments": ["segments.Segment", "segments.CustomerAssignment", "segments.ItemAssignment"],
    "Coupons": [
        "coupons.Coupon",
        "coupons.CouponCampaign",
        "coupons.Redemption",
        "coupons.Reservation",
        "coupons.CouponSettings",
    ],
    "Webhooks": [
        "events.Target",
        "events.Subscription",
        "events.Delivery",
        "events.WebhookConfig",
    ],
    "Catalogue": [
        "catalog.Category",
        "catalog.Product",
        "catalog.CategoryAssignment",
        "catalog.CategoryNumber",
    ],
    "Customers": [
        "accounts.Customer",
        "accounts.LegalEntity",
        "accounts.ContactAssignment",
        "accounts.Erasure",
    ],
    "Shop": ["tenancy.Tenant", "accounts.Site"],
    "Imports": ["imports.ImportRun", "imports.ImportReject"],
    "Activity": ["journal.Change"],
    "Background": ["background.Job"],
    "Access": [
        "accounts.User",
        "auth.Group",
        "identity.ApiClient",
        "identity.ClientSecret",
        "identity.Session",
        "identity.RefreshToken",
        "identity.SigningKey",
        "identity.AttemptCounter",
    ],
}

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# What pages for browsers may load and run. The form is the one of Django 6.0.
SECURE_CSP = {
    "default-src": ["'self'"],
    "img-src": ["'self'", "data:"],  # Swagger UI's icons
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}

if not DEBUG:
    SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_REDIRECT_EXEMPT = [rf"^{path[1:]}$" for path in PROBE_PATHS]
    SECURE_HSTS_SECONDS = env.number("SECURE_HSTS_SECONDS", default=31_536_000)
    # Both bind hosts that may not be this service's, for as long as browsers remember: only when asked for.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("SECURE_HSTS_INCLUDE_SUBDOMAINS")
    SECURE_HSTS_PRELOAD = env.flag("SECURE_HSTS_PRELOAD")
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # which ask for both
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    LANGUAGE_COOKIE_SECURE = True

DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440  # bytes of one request's body

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.identity.tokens.verification.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["core.api.json.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["core.api.json.JsonRenderer"],
    "DEFAULT_SCHEMA_CLASS": "core.api.schema.AutoSchema",
    "EXCEPTION_HANDLER": "core.api.errors.error_response",
    "FORMAT_SUFFIX_KWARG": None,  # `format` is no parameter, neither in the path nor in the query
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Customer segment service",
    "DESCRIPTION": "Customer segments, coupons and categories over the Emporix wire contracts.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "PREPROCESSING_HOOKS": ["core.api.routes.name_arguments"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core.api.schema.complete_document",
        "config.openapi_examples.add_examples",
    ],
    "SERVERS": [{"url": "/", "description": "The service that this document comes from."}],
    "COMPONENT_SPLIT_REQUEST": True,
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "OAuth2": {
                "type": "oauth2",
                "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": scopes.MEANINGS}},
            },
            "AccessToken": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "Any access token: a customer's, an anonymous one, or a service's.",
            },
        }
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "SegmentStatus": ["ACTIVE", "INACTIVE"],
        "CouponStatus": ["VALID", "INACTIVE", "EXPIRED", "USED"],
        "CustomerType": ["CUSTOMER", "CONTACT"],
        "LegalEntityType": ["COMPANY", "SUBSIDIARY"],
        "ContactAssignmentType": ["PRIMARY", "BILLING", "LOGISTICS", "CONTACT"],
        "CategoryType": ["STANDARD", "CLASSIFICATION"],
        "SegmentChange": ["DELETE", "DEACTIVATE", "ACTIVATE", "UPDATE"],
        "JobState": ["queued", "running", "done", "failed"],
    },
}

CORS_ALLOWED_ORIGINS = env.words("CORS_ALLOWED_ORIGINS")
CORS_ALLOW_ALL_ORIGINS = DEBUG and not CORS_ALLOWED_ORIGINS
CORS_ALLOW_HEADERS = [
    "authorization",
    "content-type",
    "accept-language",
    "content-language",
    "emporix-tenant",
    "x-total-count",
    "x-version",
    "idempotency-key",
    "if-none-match",
    "prefer",
    "if-match",
    "traceparent",
    "x-request-id",
    "if-min-revision",
]
CORS_EXPOSE_HEADERS = [
    "X-Total-Count",
    "Items-Count",
    "X-Next-Cursor",
    "X-Prev-Cursor",
    "ETag",
    "Location",
    "Retry-After",
    "X-Request-Id",
    "X-Revision",
    "Cache-Groups",
    "Preference-Applied",
]

# Token lifetimes, in seconds.
SERVICE_TOKEN_LIFETIME = env.number("SERVICE_TOKEN_LIFETIME", default=14_399, least=60)
ANONYMOUS_TOKEN_LIFETIME = env.number("ANONYMOUS_TOKEN_LIFETIME", default=3_599, least=60)
CUSTOMER_TOKEN_LIFETIME = env.number("CUSTOMER_TOKEN_LIFETIME", default=14_399, least=60)
REFRESH_TOKEN_LIFETIME = env.number("REFRESH_TOKEN_LIFETIME", default=86_399, least=60)
TOKEN_ISSUER = env.text("TOKEN_ISSUER", default="customer-segment-service")
# How long a worker trusts what the database said of a token, in seconds. Workers of one machine hear of a
# revocation at once, through the eight bytes of this file.
TOKEN_STATE_LIFETIME = env.number("TOKEN_STATE_LIFETIME", default=5)
REVOCATION_STAMP = VAR_DIR / "revocations"
# How many reverse proxies are before the service, each adding to X-Forwarded-For; 0 ignores that header.
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", default=0)
# How many passwords each process hashes at once; as many more requests wait for that, the others are refused.
PASSWORD_HASHING_SLOTS = env.number("PASSWORD_HASHING_SLOTS", default=1, least=1)
# How many searches with a regular expression by shoppers each process runs at once; more are 503.
PUBLIC_REGEX_SEARCHES = env.number("PUBLIC_REGEX_SEARCHES", default=1, least=1)
# Bytes of finished bodies that each process keeps for storefront reads; 0 keeps none. See docs/caching.md.
RESPONSE_CACHE_MB = env.number("RESPONSE_CACHE_MB", default=64)
# Whether bodies are compressed that are kept already, or all of these, also those that were just made.
RESPONSE_COMPRESSION = env.choice("RESPONSE_COMPRESSION", ("kept", "all"))
# Which class verifies a password hash of another system, by the algorithm that an import of customers names.
LEGACY_PASSWORD_VERIFIERS = {
    "phpass": "accounts.identity.legacy_passwords.Phpass",
    "ldap-ssha": "accounts.identity.legacy_passwords.LdapSaltedSha1",
}
# How long a token that sets a new password is good, in seconds, and the address of the storefront's page that
# takes it, with {token} in it; without an address the e-mail has the token only.
PASSWORD_RESET_LIFETIME = env.number("PASSWORD_RESET_LIFETIME", default=3_600, least=60)
PASSWORD_RESET_URL = env.text("PASSWORD_RESET_URL", default="")
# E-mails to customers. With DEBUG they are printed.
EMAIL_BACKEND = f"django.core.mail.backends.{'console' if DEBUG else 'smtp'}.EmailBackend"
EMAIL_HOST = env.text("EMAIL_HOST", default="localhost")
EMAIL_PORT = env.number("EMAIL_PORT", default=25, least=1)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", default="shop@localhost")
EMAIL_IN_BACKGROUND = True
# How many requests a second each tenant may send to a machine: `*=200,acme=500`. Empty: no limit.
TENANT_REQUESTS_PER_SECOND = env.rates("TENANT_REQUESTS_PER_SECOND")
# How many rows and bytes each tenant may store, in the same form; counted once an hour.
TENANT_MAX_ROWS = env.rates("TENANT_MAX_ROWS")
TENANT_MAX_BYTES = env.rates("TENANT_MAX_BYTES")
# How often customers may sign up from one address within 15 minutes.
SIGN_UPS_OF_ADDRESS = env.number("SIGN_UPS_OF_ADDRESS", default=100, least=1)
# How often a client at an address may fail to use a coupon, within so many seconds, until it must wait.
COUPON_FAILED_ATTEMPTS = env.number("COUPON_FAILED_ATTEMPTS", default=60, least=1)
COUPON_FAILED_ATTEMPTS_WINDOW = env.number("COUPON_FAILED_ATTEMPTS_WINDOW", default=60, least=1)

# Where groups of cached answers that changed are sent, and with which headers: docs/events.md.
CACHE_PURGE_URL = env.text("CACHE_PURGE_URL", default="")
CACHE_PURGE_HEADERS = env.headers("CACHE_PURGE_HEADERS")

# Webhooks are sent over https to public addresses; these networks are open besides. See docs/events.md.
WEBHOOK_ALLOWED_NETWORKS = env.networks(
    "WEBHOOK_ALLOWED_NETWORKS", default="127.0.0.0/8,::1/128" if DEBUG else ""
)
WEBHOOK_ALLOW_HTTP = DEBUG
# For how many hours the former secret of a target signs along after it was replaced.
WEBHOOK_SECRET_OVERLAP_HOURS = env.number("WEBHOOK_SECRET_OVERLAP_HOURS", default=24)

# For how many days events and their deliveries are kept, for the feed and for sending them again.
EVENTS_KEPT_DAYS = env.number("EVENTS_KEPT_DAYS", default=14, least=4)

# Login of staff through an OpenID provider; see docs/staff-login.md.
OIDC = bool(env.text("OIDC_CLIENT_ID"))
if OIDC:
    INSTALLED_APPS += ["mozilla_django_oidc"]
    AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        "accounts.staff_oidc.StaffBackend",
    ]
    OIDC_CALLBACK_CLASS = "accounts.staff_oidc.StaffCallback"
    OIDC_PROVIDER_NAME = env.text("OIDC_PROVIDER_NAME", default="single sign-on")
    OIDC_RP_CLIENT_ID = env.text("OIDC_CLIENT_ID")
    OIDC_RP_CLIENT_SECRET = env.required("OIDC_CLIENT_SECRET", remedy=OIDC_REMEDY)
    OIDC_ISSUER = env.required("OIDC_ISSUER", remedy=OIDC_REMEDY)
    OIDC_OP_AUTHORIZATION_ENDPOINT = env.required("OIDC_AUTHORIZATION_ENDPOINT", remedy=OIDC_REMEDY)
    OIDC_OP_TOKEN_ENDPOINT = env.required("OIDC_TOKEN_ENDPOINT", remedy=OIDC_REMEDY)
    OIDC_OP_USER_ENDPOINT = env.required("OIDC_USERINFO_ENDPOINT", remedy=OIDC_REMEDY)
    OIDC_OP_JWKS_ENDPOINT = env.required("OIDC_JWKS_ENDPOINT", remedy=OIDC_REMEDY)
    OIDC_RP_SIGN_ALGO = env.text("OIDC_SIGNING_ALGORITHM", default="RS256")
    OIDC_REQUIRE_VERIFIED_EMAIL = env.flag("OIDC_REQUIRE_VERIFIED_EMAIL", default=True)
    OIDC_CREATE_USER = False
    OIDC_USE_PKCE = True
    OIDC_TIMEOUT = 5  # seconds

# One-time passwords for staff; see docs/staff-login.md.
TOTP_REQUIRED = env.flag("TOTP_REQUIRED")
TOTP = TOTP_REQUIRED or env.flag("TOTP")
if TOTP:
    INSTALLED_APPS += ["django_otp", "django_otp.plugins.otp_totp", "accounts.totp"]
    OTP_TOTP_ISSUER = env.text("TOTP_ISSUER", default="Customer segments")
    second_factor = ["django_otp.middleware.OTPMiddleware", "accounts.totp.middleware.SecondFactor"]
    MIDDLEWARE += second_factor
    BROWSER_ONLY_MIDDLEWARE += second_factor

# What operators see: docs/observability.md.
LOG_FORMAT = env.choice("LOG_FORMAT", ("text", "json") if DEBUG else ("json", "text"))
ACCESS_LOG = env.flag("ACCESS_LOG", default=not DEBUG)
# Who has this token may read /metrics; without one there is no such page.
METRICS_TOKEN = env.text("METRICS_TOKEN")
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured(
        "METRICS_TOKEN is shorter than 16 characters; make one, for example with `openssl rand -hex 32`."
    )
# Both are extras: without these variables their packages are neither needed nor imported.
SENTRY_DSN = env.text("SENTRY_DSN")
TRACES_ENDPOINT = env.text("OTEL_EXPORTER_OTLP_ENDPOINT") or env.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
if TRACES_ENDPOINT:
    MIDDLEWARE.insert(1, "config.tracing.TracedRequests")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "core.observation.log_lines.OneLineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "core.observation.log_lines.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if LOG_FORMAT == "json" else "line",
        }
    },
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Without Django's own handlers, which write messages as they are.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        "django.request": {"level": "ERROR"},
    },
}
