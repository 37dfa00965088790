from river.base import DriftAndWarningDetector

class DDM(DriftAndWarningDetector):
    def __init__(
        self, warm_start: int = ..., warning_threshold: float = ..., drift_threshold: float = ...
    ) -> None: ...

class EDDM(DriftAndWarningDetector):
    def __init__(self, warm_start: int = ..., alpha: float = ..., beta: float = ...) -> None: ...

class HDDMA(DriftAndWarningDetector):
    def __init__(
        self, drift_confidence: float = ..., warning_confidence: float = ..., two_sided_test: bool = ...
    ) -> None: ...

class HDDMW(DriftAndWarningDetector):
    def __init__(
        self,
        drift_confidence: float = ...,
        warning_confidence: float = ...,
        lambda_val: float = ...,
        two_sided_test: bool = ...,
    ) -> None: ...
