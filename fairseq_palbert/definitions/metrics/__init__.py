"""A task's metrics, from statistics that add up over batches and workers."""

from .base import References
from .task_metrics import TaskMetrics

__all__ = ["References", "TaskMetrics"]
