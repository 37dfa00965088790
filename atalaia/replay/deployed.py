"""The model that a replay is for: what is deployed of it now, and its bundle."""

from atalaia.bundles.folder import Bundle
from atalaia.deployments import current_primary
from atalaia.errors import BundleError, UnknownModel
from atalaia.settings import KafkaSettings
from atalaia.stream.deployed import read_bundle_records, read_models


def read_deployed(kafka: KafkaSettings, model: str) -> Bundle:
    """The bundle of the model's primary version, verified.

    Raises
    ------
    UnknownModel
        naming the models that are deployed.
    BundleError
        where its bundle is missing here, or is another than was deployed.
    StreamUnavailable
        where Kafka does not answer.
    """
    records = read_models(kafka)
    primary = None if model not in records else current_primary(records[model])
    if primary is None:
        known = ", ".join(sorted(records)) or "none"
        raise UnknownModel(f"no version of model {model!r} answers; models deployed: {known}")
    located = read_bundle_records(kafka).get((model, primary.version))
    if located is None:
        raise BundleError(
            f"no record says where the bundle of {model} {primary.version} lies; deploy it again"
        )
    bundle = Bundle.read(located.location)
    if bundle.digest != primary.digest:
        raise BundleError(
            f"the bundle at {located.location} has digest {bundle.digest}, deployed was {primary.digest}; "
            "put the deployed bundle back"
        )
    return bundle
