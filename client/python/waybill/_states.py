# SPDX-License-Identifier: Apache-2.0
"""A2A's task states, as both sides of a delegation read them."""

INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"
INTERRUPTED = frozenset((INPUT_REQUIRED, "TASK_STATE_AUTH_REQUIRED"))

TERMINAL = {
    "TASK_STATE_COMPLETED": "completed",
    "TASK_STATE_FAILED": "failed",
    "TASK_STATE_CANCELED": "canceled",
    "TASK_STATE_REJECTED": "rejected",
}
"""The outcome that a delegation is settled with when its task is in that state."""

FINISHED = {
    "TASK_STATE_COMPLETED": "ok",
    "TASK_STATE_FAILED": "error",
    "TASK_STATE_CANCELED": "canceled",
    "TASK_STATE_REJECTED": "rejected",
    INPUT_REQUIRED: "interrupted",
}
"""The outcome that an acceptance is finished with when its answer says that state."""
