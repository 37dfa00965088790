from river.base import DriftDetector

class ADWIN(DriftDetector):
    def __init__(
        self,
        delta: float = ...,
        clock: int = ...,
        max_buckets: int = ...,
        min_window_length: int = ...,
        grace_period: int = ...,
    ) -> None: ...
    @property
    def width(self) -> float: ...

class PageHinkley(DriftDetector):
    def __init__(
        self,
        min_instances: int = ...,
        delta: float = ...,
        threshold: float = ...,
        alpha: float = ...,
        mode: str = ...,
    ) -> None: ...
