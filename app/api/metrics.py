"""Metrics over HTTP, for Prometheus and whatever reads its format."""

from fastapi import APIRouter, Request, Response

from app.api.openapi import Responses, content, problems
from app.api.queries import CheckedQuery
from app.api.report_examples import METRICS
from app.api.services import ServicesOf

router = APIRouter(tags=["Operations"], dependencies=[CheckedQuery])

_ANSWERS: Responses = {
    **problems(),
    200: content(
        {"text/plain": METRICS, "application/openmetrics-text": f"{METRICS}# EOF\n"},
        description="The metrics, in the format that `Accept` asks for.",
    ),
}


@router.get("/metrics", operation_id="get_metrics", response_class=Response, responses=_ANSWERS)
def metrics(request: Request, services: ServicesOf) -> Response:
    """Jobs by status, waiting, workers, epochs, losses, requests and their durations, for Prometheus.

    Each number is the sum over all API processes and workers, whichever process answers.
    """
    text, content_type = services.metrics.write(request.headers.get("accept", ""))
    return Response(text, media_type=content_type)
