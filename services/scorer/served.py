"""A model version, loaded and ready to be asked."""

from atalaia.bundles.folder import Bundle
from atalaia.bundles.predictor import Predictor
from atalaia.inference.bounds import Bounds
from atalaia.inference.responses import ResponseWriter
from atalaia.inference.signature import Signature
from services.scorer.metrics import VersionMetrics


class Served:
    """Everything the loop needs of one version; made once, when it is deployed.

    Raises
    ------
    BundleError
        where the model cannot be loaded or fails its self-test.
    """

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self.manifest = manifest
        self.name, self.version, self.digest = manifest.name, manifest.version, bundle.digest
        self.signature = Signature(manifest)
        self.predictor = Predictor(bundle)
        self.writer = ResponseWriter(manifest)
        self.bounds = Bounds(manifest, self.writer)
        self.tensor_width = len(manifest.features) if self.signature.takes_tensor else None
        self.predictor.self_test()
        self.metrics = VersionMetrics(self.name, self.version)
