"""The conformance kit: subclass a class, override ``make``, and pytest runs every check.

    from softdiv.testing import TokenMetricTests

    class TestMyMetric(TokenMetricTests):
        def make(self) -> object:
            return MyMetric()

``softdiv plugins check NAME`` runs the same checks without pytest. No pytest plugin has to be
registered, and importing this does not import torch.
"""

from softdiv.testing.bases import (
    AnalyzerTests as AnalyzerTests,
    LossTests as LossTests,
    ModelLoaderTests as ModelLoaderTests,
    ObserverTests as ObserverTests,
    ProcessorTests as ProcessorTests,
    ResponseMetricTests as ResponseMetricTests,
    SearcherTests as SearcherTests,
    TokenMetricTests as TokenMetricTests,
)
