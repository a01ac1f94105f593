"""The Celery app of `celery -A worker.celery_app worker`: settings in, signals connected, one task."""

from app.logs import configure_logs
from app.queueing.celery import make_celery
from worker import lifecycle
from worker.wiring import settings

configure_logs(settings().log_level, settings().log_format)
app = make_celery(settings().resolved_redis_url)
app.conf.imports = ["worker.tasks"]
app.conf.worker_consumer = "worker.consumer:CaringConsumer"
lifecycle.connect(app)
