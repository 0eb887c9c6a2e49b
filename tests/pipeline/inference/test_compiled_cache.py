from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import NetworkFolderError
from pipeline.inference.compiled_cache import KEPT, CompiledCache
from pipeline.inference.engine import COMPILED_FILE, load_engine
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE
from tests.support.imaging.networks import phantom_inputs


@pytest.fixture
def cache(tmp_path: Path) -> CompiledCache:
    cache = CompiledCache(tmp_path / "new" / "cache", "network")
    cache.write("processor", b"compiled")
    assert cache.read("processor") == b"compiled"
    return cache


def test_kept_network_gives_equal_results(tmp_path: Path) -> None:
    cache, inputs = CompiledCache(tmp_path / "cache", "baseline"), phantom_inputs(count=3)
    compiled = load_engine(BASELINE, cache=cache).infer(inputs)
    (tmp_path / COMPILED_FILE).write_text("no network", encoding="ascii")
    with pytest.raises(NetworkFolderError, match=r"network\.xml cannot be read"):
        load_engine(tmp_path)
    kept = load_engine(tmp_path, cache=cache).infer(inputs)  # not from that folder
    for name in ("logits", "heatmaps", "features"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(compiled, name))


def test_predictor_refuses_a_damaged_version_with_a_kept_network(tmp_path: Path) -> None:
    folder, cache = tmp_path / "version", tmp_path / "cache"
    folder.mkdir()
    for path in BASELINE.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    Predictor.open(folder, cache=cache)
    assert list(cache.iterdir())
    (folder / "network.bin").write_bytes(b"")
    with pytest.raises(NetworkFolderError, match=r"network\.bin in .* is damaged"):
        Predictor.open(folder, cache=cache)


def test_blob_that_openvino_cannot_read_is_compiled_again(tmp_path: Path) -> None:
    class Unreadable(CompiledCache):
        def read(self, platform: str) -> bytes:
            return b"of another release"

    engine = load_engine(BASELINE, cache=Unreadable(tmp_path, "baseline"))
    assert engine.infer(phantom_inputs(count=1)).logits.shape == (1,)


def test_damaged_blob_is_not_read(cache: CompiledCache) -> None:
    (path,) = cache.folder.iterdir()
    for damaged in (path.read_bytes()[:-1] + b"!", path.read_bytes()[:-1], b""):
        path.write_bytes(damaged)
        assert cache.read("processor") is None


def test_blob_of_another_network_or_processor_is_not_read(cache: CompiledCache) -> None:
    assert cache.read("another processor") is None
    other = CompiledCache(cache.folder, "another network")
    assert other.read("processor") is None
    (path,) = cache.folder.iterdir()
    blob = path.read_bytes()
    other.write("processor", b"compiled")
    (moved,) = set(cache.folder.iterdir()) - {path}
    moved.write_bytes(blob)  # under the other's name
    assert other.read("processor") is None


def test_folder_that_others_can_write_is_not_used(cache: CompiledCache, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(cache.folder)
    linked = CompiledCache(tmp_path / "link", "network")
    cache.folder.chmod(0o777)
    for one in (cache, linked):
        one.write("another processor", b"compiled")
        assert one.read("processor") is None
    assert len(list(cache.folder.iterdir())) == 1


def test_folder_of_another_user_is_not_used(
    cache: CompiledCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: cache.folder.stat().st_uid + 1)
    cache.write("another processor", b"compiled")
    assert cache.read("processor") is None
    assert len(list(cache.folder.iterdir())) == 1


def test_few_files_are_kept(cache: CompiledCache) -> None:
    for number in range(2 * KEPT):
        cache.write(f"processor {number}", b"compiled")
    assert len(list(cache.folder.iterdir())) == KEPT
    assert cache.read(f"processor {number}") == b"compiled"


def test_full_disk_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    CompiledCache(tmp_path / "file" / "cache", "network").write("processor", b"compiled")
