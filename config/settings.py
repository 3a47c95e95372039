"""Every setting of the hub: read from the environment (CLOISTER_*), with safe defaults.

docs/settings.md lists each one; a test compares the two.
"""

from pathlib import Path

import environ
import plotly
import structlog

from config.secrets import own_secret

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(env.str("CLOISTER_VAR", default=str(BASE_DIR / "var" / "hub"))).resolve()
VAR.mkdir(parents=True, exist_ok=True)

DEBUG = False
SECRET_KEY = env.str("CLOISTER_SECRET_KEY", default="") or own_secret(VAR / "secret_key")
ALLOWED_HOSTS = env.list("CLOISTER_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CLOISTER_ORIGINS", default=[])
PUBLIC_URL = env.str("CLOISTER_PUBLIC_URL", default="http://127.0.0.1:8000")
SECURE = PUBLIC_URL.startswith("https://")

INSTALLED_APPS = [
    "studies",
    "accounting",
    "federation",
    "config",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "django_htmx",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
AUTH_USER_MODEL = "studies.Person"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "studies.context.navigation",
            ],
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["django.template.loaders.filesystem.Loader"],
                )
            ],
            "builtins": ["studies.templatetags.cloister"],
        },
    }
]

DATABASES = {
    "default": env.db_url("CLOISTER_DATABASE_URL", default=f"sqlite:///{VAR / 'hub.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE takes the write lock when a transaction begins: no deadlock on upgrade.
    # FULL: a committed ledger row survives a power cut, not only a killed process.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(VAR / "test.sqlite3")}
else:
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 1, "max_size": 20, "timeout": 30}}

REDIS_URL = env.str("CLOISTER_REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
}
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "hub"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 300}
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "federation.sweep", "schedule": env.float("CLOISTER_SWEEP_SECONDS", 2.0)},
    "alerts": {"task": "studies.send_alerts", "schedule": 5.0},
    "deliver-reports": {"task": "accounting.deliver_reports", "schedule": 60.0},
    "verify": {
        "task": "accounting.verify_ledger",
        "schedule": env.float("CLOISTER_VERIFY_SECONDS", 3600.0),
    },
    "reports": {"task": "accounting.resume_reports", "schedule": 30.0},
    "reconcile": {"task": "accounting.reconcile", "schedule": 300.0},
}

_MAIL = env.email_url("CLOISTER_EMAIL_URL", default=f"filemail://{VAR / 'mail'}")
if _MAIL["EMAIL_FILE_PATH"]:  # read without its first slash: mail would land in the working folder
    _MAIL["EMAIL_FILE_PATH"] = "/" + _MAIL["EMAIL_FILE_PATH"].lstrip("/")
vars().update(_MAIL)
DEFAULT_FROM_EMAIL = env.str("CLOISTER_EMAIL_FROM", default="cloister@localhost")
EMAIL_TIMEOUT = 20
WEBHOOK_HOSTS = env.list("CLOISTER_WEBHOOK_HOSTS", default=[])

STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/plotly", Path(plotly.__file__).parent / "package_data"),
]
MEDIA_ROOT = VAR / "media"
BLOBS = VAR / "blobs"  # tensors by SHA-256
HUB_KEY_FILE = Path(env.str("CLOISTER_HUB_KEY_FILE", default=str(VAR / "hub.key")))

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_AGE = 12 * 3600
SECURE_SSL_REDIRECT = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_HSTS_SECONDS = 31536000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "style-src-attr": ["'unsafe-inline'"],  # Plotly positions its labels with style attributes
        "img-src": ["'self'", "data:", "blob:"],
        "connect-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
REPORT_UTILITY = "federation.selectors.report.utility"  # read by accounting.reports
SITE_API_MAX_BODY = env.int("CLOISTER_SITE_API_MAX_BODY", default=512 * 2**20)
PUBLIC_ROWS_MAX = env.int("CLOISTER_PUBLIC_ROWS_MAX", default=256 * 2**20)
SITE_API_MAX_SKEW_SECONDS = 60

LOGGING_CONFIG = None
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer()
        if env.str("CLOISTER_LOG_FORMAT", default="text") == "json"
        else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
    ],
    cache_logger_on_first_use=True,
)
