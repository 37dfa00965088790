"""Records come back from JSON as they went, to the last bit."""

import msgspec
import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atalaia.records import (
    Array,
    BundleRecord,
    Deployment,
    ModelObservation,
    ModelRecord,
    Observation,
    SourceRange,
)

texts = st.text(max_size=10)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
positions = st.integers(0, 2**63 - 1)
dtypes = st.sampled_from([np.dtype(code) for code in ("?", "u1", "<i4", "<i8", "<f4", "<f8")])
shapes = st.one_of(st.tuples(st.integers(0, 6)), st.tuples(st.integers(0, 5), st.integers(2, 4)))
matrices = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, shapes))
arrays = st.builds(
    lambda values, categories: Array.of(values, categories=categories), matrices, st.none() | st.lists(texts)
)
columns = st.dictionaries(texts, arrays, max_size=3)
deployments = st.builds(
    Deployment,
    names,
    texts,
    st.sampled_from(["primary", "canary", "shadow"]),
    st.dictionaries(st.integers(0, 10_000), positions, max_size=4),
    texts,
    st.none() | st.floats(0, 100),
)
observations = st.builds(
    Observation,
    texts,
    st.lists(
        st.builds(SourceRange, st.integers(0, 99), positions, positions, positions, st.booleans()), max_size=3
    ),
    st.lists(
        st.builds(
            ModelObservation,
            model=names,
            version=names,
            role=st.sampled_from(["primary", "canary", "shadow"]),
            digest=texts,
            partition=arrays,
            offset=arrays,
            id=st.lists(texts, max_size=3),
            rows=arrays,
            expired=arrays,
            event_time_ms=arrays,
            features=columns,
            context=columns,
            score=arrays,
            applicability=arrays,
            abstained=arrays,
            label=st.none() | arrays,
            probabilities=st.none() | arrays,
            classes=st.none() | st.lists(st.one_of(texts, st.integers(-(2**63), 2**63 - 1)), max_size=3),
        ),
        max_size=2,
    ),
)


@given(values=matrices, fortran=st.booleans())
def test_arrays(values: npt.NDArray[np.generic], fortran: bool) -> None:
    given_values = np.asfortranarray(values) if fortran else values
    text = msgspec.json.encode(Array.of(given_values))
    back = msgspec.json.decode(text, type=Array).numpy()
    assert back.dtype == values.dtype
    assert back.shape == values.shape
    assert back.tobytes() == values.tobytes()


@given(observation=observations)
@settings(max_examples=50, deadline=None)
def test_observations(observation: Observation) -> None:
    text = msgspec.json.encode(observation)
    back = msgspec.json.decode(text, type=Observation)
    assert back == observation
    assert msgspec.json.encode(back) == text


@given(record=st.builds(ModelRecord, names, texts, st.lists(deployments, max_size=4)))
@settings(deadline=None)
def test_model_records(record: ModelRecord) -> None:
    assert msgspec.json.decode(msgspec.json.encode(record), type=ModelRecord) == record


@given(record=st.builds(BundleRecord, names, names, texts, texts, texts))
def test_bundle_records(record: BundleRecord) -> None:
    assert msgspec.json.decode(msgspec.json.encode(record), type=BundleRecord) == record
