"""A bundle is read whole and unchanged, or refused by name."""

import hashlib
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from atalaia.bundles.assemble import assemble_bundle
from atalaia.bundles.folder import Bundle, write_bundle
from atalaia.bundles.manifest import Manifest
from atalaia.bundles.onnx_model import OnnxModel, Outputs
from atalaia.bundles.predictor import Predictor
from atalaia.bundles.reference import Reference
from atalaia.errors import BundleError
from atalaia.inference.rows import Rows
from tests.unit.bundles import tiny_models


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_models.columns().bundle(tmp_path_factory.mktemp("folder"))


@pytest.fixture
def folder(original: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original.folder, tmp_path / "copy"))


def _seal(folder: Path) -> None:
    """Digests that fit again, as somebody who edits a bundle would write them."""
    names = ("bundle.toml", "card.md", "model.onnx", "reference.npz")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_reads_back_what_was_written(original: Bundle, folder: Path) -> None:
    again = Bundle.read(folder)
    assert again.digest == original.digest
    assert again.digest == "sha256:" + hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    assert again.manifest == original.manifest
    one, two = original.reference, again.reference
    assert np.array_equal(one.distances, two.distances)
    assert np.array_equal(one.answers.scores, two.answers.scores)
    assert one.performance == two.performance
    assert one.background.strings["work"].tolist() == two.background.strings["work"].tolist()
    assert None in two.background.strings["work"].tolist()
    assert len(two.background) == 200
    assert len(two.self_test.rows) <= 64
    assert one.to_bytes(one_manifest := original.manifest) == two.to_bytes(one_manifest)


def test_other_files_in_the_folder_are_left_alone(original: Bundle, folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    assert Bundle.read(folder).digest == original.digest


@pytest.mark.parametrize("name", ["model.onnx", "bundle.toml", "reference.npz", "card.md", "SHA256SUMS"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: cannot be read .*the bundle is not whole"):
        Bundle.read(folder)


@pytest.mark.parametrize("name", ["model.onnx", "bundle.toml", "reference.npz", "card.md"])
def test_a_changed_file_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: changed since the bundle was made"):
        Bundle.read(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "bundle format 2, this version of atalaia reads 1"),
        ('task = "classification"', 'task = "clustering"', r"Invalid enum value 'clustering' - at `\$.task`"),
        ('name = "tiny"', 'name = "a b"', r"at `\$.name`"),
        ('version = "1"', "", "missing required field `version`"),
        ('version = "1"', 'version = "1"\ncolour = 3', "unknown field `colour`"),
        ('positive_class = ">50K"', 'positive_class = "x"', "positive_class 'x' is none of the classes"),
        ('name = "hours"', 'name = "age"', "the name 'age' is given 2 times"),
        ('name = "hours"', 'name = "event_time"', "'event_time' is reserved"),
        ("format = 1", "format = ", "not TOML"),
    ],
)
def test_a_bad_manifest_is_named_by_field(folder: Path, old: str, new: str, message: str) -> None:
    text = (folder / "bundle.toml").read_text()
    assert old in text
    (folder / "bundle.toml").write_text(text.replace(old, new, 1))
    _seal(folder)
    with pytest.raises(BundleError, match=rf"bundle.toml: .*{message}"):
        Bundle.read(folder)


def test_a_reference_that_is_none_is_named(folder: Path) -> None:
    (folder / "reference.npz").write_bytes(b"no archive")
    _seal(folder)
    with pytest.raises(BundleError, match=r"reference.npz: not an archive of plain arrays"):
        Bundle.read(folder)


def test_pickles_in_a_reference_are_refused(folder: Path) -> None:
    np.savez(folder / "reference.npz", scores=np.array([{"a": 1}], np.object_))
    _seal(folder)
    with pytest.raises(BundleError, match=r"reference.npz: not an archive of plain arrays"):
        Bundle.read(folder)


def test_a_missing_or_short_array_is_named(folder: Path) -> None:
    with np.load(folder / "reference.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "reference.npz", **{name: array for name, array in arrays.items() if name != "scores"})
    _seal(folder)
    with pytest.raises(BundleError, match="array 'scores' is missing"):
        Bundle.read(folder)
    np.savez(folder / "reference.npz", **(arrays | {"scores": arrays["scores"][:-1]}))
    _seal(folder)
    with pytest.raises(BundleError, match="array 'scores' has 599 rows, expected 600"):
        Bundle.read(folder)


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        ("nonsense\n", "line 1 is not"),
        (f"{'0' * 64}  ../model.onnx\n", "line 1 is not"),
        ("", "no digest of"),
    ],
)
def test_a_bad_list_of_digests_is_refused(folder: Path, listing: str, message: str) -> None:
    (folder / "SHA256SUMS").write_text(listing)
    with pytest.raises(BundleError, match=rf"SHA256SUMS: {message}"):
        Bundle.read(folder)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a folder"):
        Bundle.read(tmp_path / "nowhere")


def test_the_model_is_verified_again_when_loaded(folder: Path) -> None:
    bundle = Bundle.read(folder)
    (folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"model.onnx: changed since"):
        Predictor(bundle)


def test_a_model_that_does_not_load_is_refused_by_name(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no model")
    _seal(folder)
    with pytest.raises(BundleError, match=r"model.onnx: onnxruntime cannot load it"):
        Predictor(Bundle.read(folder))


def test_another_model_of_the_same_shape_fails_the_self_test(tmp_path: Path) -> None:
    (tmp_path / "forest").mkdir()
    folder = tiny_models.forest().bundle(tmp_path / "forest").folder
    other = bytearray((folder / "model.onnx").read_bytes())
    other = bytearray(other.replace(np.float32(1 / 30).tobytes(), np.float32(1 / 29).tobytes()))
    assert bytes(other) != (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(other)
    _seal(folder)
    with pytest.raises(BundleError, match=r"model.onnx: self-test row \d+ has score .*make the bundle again"):
        Predictor(Bundle.read(folder)).self_test()


def test_a_model_whose_answer_depends_on_the_batch_fails_the_self_test(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(Bundle.read(folder))
    honest = OnnxModel.answer

    def answer(model: OnnxModel, rows: Rows) -> Outputs:
        said = honest(model, rows)
        if len(rows) < 3:
            said.score[-1] = np.nextafter(said.score[-1], np.float32(2))
        return said

    monkeypatch.setattr(OnnxModel, "answer", answer)
    with pytest.raises(BundleError, match="a model whose answers depend on the batch"):
        predictor.self_test()


def test_inputs_and_outputs_the_file_lacks_are_named(original: Bundle) -> None:
    model = original.read_model()
    renamed = _with_model(original.manifest, probabilities="nothing")
    with pytest.raises(BundleError, match=r"has outputs .* the manifest names 'nothing'"):
        OnnxModel(renamed, model, "it")
    fewer = msgspec.structs.replace(original.manifest, features=original.manifest.features[:2])
    with pytest.raises(BundleError, match=r"has inputs .* the manifest has features"):
        OnnxModel(fewer, model, "it")
    one = _with_model(original.manifest, inputs="tensor")
    with pytest.raises(BundleError, match="has 3 inputs, the manifest says one tensor"):
        OnnxModel(one, model, "it")


def _with_model(manifest: Manifest, **fields: object) -> Manifest:
    return msgspec.structs.replace(manifest, model=msgspec.structs.replace(manifest.model, **fields))


def test_the_same_bundle_again_is_no_change_and_another_is_refused(tmp_path: Path) -> None:
    source = tiny_models.tree().write(tmp_path)
    first = assemble_bundle(source, tmp_path / "bundle")
    stamp = (tmp_path / "bundle").stat().st_ino
    assert assemble_bundle(source, tmp_path / "bundle").digest == first.digest
    assert (tmp_path / "bundle").stat().st_ino == stamp
    with (tmp_path / "reference.csv").open("a") as file:
        file.write("1,1,1,1,3\n")
    with pytest.raises(BundleError, match="holds another bundle; give another folder, or say to replace it"):
        assemble_bundle(source, tmp_path / "bundle")
    assert Bundle.read(tmp_path / "bundle").digest == first.digest
    assert assemble_bundle(source, tmp_path / "bundle", replace=True).digest != first.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bundle", "config.toml", "model.onnx", "reference.csv",
    ]  # fmt: skip


def test_a_broken_bundle_in_the_way_is_not_taken_for_the_same(tmp_path: Path) -> None:
    source = tiny_models.tree().write(tmp_path)
    assemble_bundle(source, tmp_path / "bundle")
    (tmp_path / "bundle/card.md").write_text("edited")
    with pytest.raises(BundleError, match="holds another bundle"):
        assemble_bundle(source, tmp_path / "bundle")
    assemble_bundle(source, tmp_path / "bundle", replace=True)
    Bundle.read(tmp_path / "bundle")


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    source = tiny_models.tree().write(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter.txt").write_text("dear")
    with pytest.raises(BundleError, match="exists and is no model bundle"):
        assemble_bundle(source, tmp_path / "home", replace=True)
    assert (tmp_path / "home/letter.txt").read_text() == "dear"


def test_nothing_is_left_of_a_bundle_that_fails_its_check(original: Bundle, tmp_path: Path) -> None:
    def refuse(_bundle: Bundle) -> None:
        raise BundleError("not this one")

    with pytest.raises(BundleError, match="not this one"):
        write_bundle(
            tmp_path / "bundle",
            manifest=original.manifest,
            model=original.read_model(),
            reference=original.reference,
            card="card",
            verify=refuse,
        )
    assert list(tmp_path.iterdir()) == []


def test_attributions_are_optional_and_kept(original: Bundle) -> None:
    attributions = np.arange(1800.0).reshape(600, 3)
    reference = Reference(
        columns=original.reference.columns,
        answers=original.reference.answers,
        distances=original.reference.distances,
        applicability=original.reference.applicability,
        background=original.reference.background,
        self_test=original.reference.self_test,
        attributions=attributions,
    )
    again = Reference.from_bytes(reference.to_bytes(original.manifest), original.manifest)
    assert original.reference.attributions is None
    assert again.attributions is not None
    assert np.array_equal(again.attributions, attributions)
