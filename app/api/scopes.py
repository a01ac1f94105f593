"""Which scope each operation needs: the one table of who may do what."""

from fastapi import Depends, Request

from app.api.access import PROBES
from app.domain.caller import Caller
from app.domain.errors import Forbidden
from app.domain.keys import Scope

# What reads needs `read` and what changes something needs `write`; these are the operations of which the method does not tell.
_OF_OPERATION: dict[str, Scope] = {
    "plan_job": "read",
    "predict": "read",
    "predict_model": "read",
    "predict_model_version": "read",
    "evaluate_job": "read",
    "predict_checkpoint": "read",
    "infer": "read",
    "infer_version": "read",
    "create_key": "admin",
    "list_keys": "admin",
    "revoke_key": "admin",
    "get_metrics": "admin",  # the numbers are of all projects
}


def scope_of(method: str, path: str, operation_id: str) -> Scope | None:
    """The scope that an operation needs; None for those that need no key."""
    if path in PROBES:
        return None
    return _OF_OPERATION.get(operation_id, "read" if method == "GET" else "write")


async def check_scope(request: Request) -> None:
    """Refuse a caller whose key has not the operation's scope."""
    route = request.scope["route"]
    caller: Caller = request.state.caller
    needed = scope_of(request.method, route.path, route.operation_id) if route.include_in_schema else None
    if needed is not None and needed not in caller.scopes:
        raise Forbidden(f"This needs a key with the scope `{needed}`.")


CheckedScope = Depends(check_scope)
