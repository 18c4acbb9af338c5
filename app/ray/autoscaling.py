"""How many replicas a Ray Serve deployment has: as many as its tokens ask for.

Ray Serve sends this module to its controller as it is, so it imports nothing of the service.
"""

import math
from typing import Any

from ray.serve.config import AutoscalingContext

# What every replica reports; see `Reader.record_autoscaling_stats`.
METRIC = "outstanding_tokens"


class TokensPerReplica:
    """An autoscaling policy: work that waits or runs, in tokens, divided by what one replica shall have at once.

    Ray Serve applies delays, factors and bounds of the deployment's `autoscaling_config` to what it says.

    Args:
        tokens_per_replica: more lets requests wait longer before a replica is added.
    """

    def __init__(self, tokens_per_replica: int) -> None:
        self._tokens_per_replica = tokens_per_replica

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        tokens = sum((context.aggregated_metrics or {}).get(METRIC, {}).values())
        # Requests that no replica has taken yet are taken to be like those that run.
        waiting = context.total_queued_requests or 0
        running = context.total_num_requests - waiting
        if waiting:
            tokens += waiting * (tokens / running if running > 0 and tokens > 0 else self._tokens_per_replica)
        return math.ceil(tokens / self._tokens_per_replica), {}
