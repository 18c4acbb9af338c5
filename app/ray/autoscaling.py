"""The number of replicas of a Ray Serve deployment, from its tokens.

Ray Serve sends this module alone to its controller, so it imports nothing of the service.
"""

import math
from typing import Any

from ray.serve.config import AutoscalingContext

# Reported by every replica; see `Gateway.record_autoscaling_stats`.
METRIC = "outstanding_tokens"


class TokensPerReplica:
    """An autoscaling policy: waiting and running tokens, divided by the tokens for one replica.

    Ray Serve applies delays, factors and bounds of the deployment's `autoscaling_config` to the result.

    Args:
        tokens_per_replica: more lets requests wait longer before a replica is added.
    """

    def __init__(self, tokens_per_replica: int) -> None:
        self._tokens_per_replica = tokens_per_replica

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        tokens = sum((context.aggregated_metrics or {}).get(METRIC, {}).values())
        # Assumes that requests without a replica are as large as the running ones.
        waiting = context.total_queued_requests or 0
        running = context.total_num_requests - waiting
        if waiting:
            tokens += waiting * (tokens / running if running > 0 and tokens > 0 else self._tokens_per_replica)
        return math.ceil(tokens / self._tokens_per_replica), {}
