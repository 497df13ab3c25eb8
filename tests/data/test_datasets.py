import errno
import hashlib
import http.server
import os
import re
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import anndata
import numpy as np
import pytest
from scipy import sparse

from scgen_lib import data
from scgen_lib.data import registry
from scgen_lib.errors import DataError, ParameterError

TABLES = {
    "tiny one.csv": b",kind,Gene1,Gene2\nCell1,Group1,0,3\nCell2,Group2,5,1\n",
    "tiny_truth.csv": b",kind,Gene1,Gene2\nCell1,Group1,4,3\nCell2,Group2,5,1\n",
}


class Source(http.server.ThreadingHTTPServer):
    """A source of files on this machine that counts what it was asked for and can send damaged bytes."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.asked, self.accepted, self.cut_to = dict(TABLES), [], [], None


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = unquote(self.path.lstrip("/"))
        self.server.asked.append(name)
        self.server.accepted.append(self.headers["Accept"])
        if name not in self.server.files:
            self.send_error(404)
            return
        body = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut_to])

    def log_message(self, *_):
        pass


@pytest.fixture
def source():
    server = Source()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """An empty data folder and an empty cache; the retries of a download do not wait."""
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    monkeypatch.setenv("SCGEN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SCGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    return tmp_path


@pytest.fixture
def tiny(folders, monkeypatch, source):
    """Register a pair of tables that `source` publishes, and return the folder where a user would put them."""
    files = {}
    for name, content in TABLES.items():
        url = f"http://127.0.0.1:{source.server_port}/{name.replace(' ', '%20')}"
        digits = hashlib.sha256(content).hexdigest()
        files[f"tiny/{name}"] = registry.File(f"tiny/{name}", "MIT", url, bytes=len(content), sha256=digits)
    entry = registry.Dataset(
        "tiny", "Two cells", tuple(files), 2, 2, 2, "counts", "none", "Nobody (2000)", "splatter_pair", simulated=True
    )
    monkeypatch.setattr(registry, "FILES", files)
    monkeypatch.setattr(registry, "DATASETS", {"tiny": entry})
    return folders / "data" / "tiny"


def known_by(monkeypatch, **known):
    """Let the registry know the first table of `tiny` by something else than its sha256 and size."""
    file = registry.FILES["tiny/tiny one.csv"]
    monkeypatch.setitem(registry.FILES, file.key, replace(file, **({"sha256": "", "bytes": None} | known)))


def put(folder, **changed):
    for name, content in TABLES.items():
        (folder / name).write_bytes(changed.get(name.split(".")[0].replace(" ", "_"), content))


def check_tiny(adata):
    np.testing.assert_array_equal(adata.layers["counts"], [[0, 3], [5, 1]])
    np.testing.assert_array_equal(adata.layers["true_counts"], [[4, 3], [5, 1]])
    assert list(adata.obs["cell_type"]) == list(adata.obs["group"]) == ["Group1", "Group2"]


def test_files_of_the_data_folder_serve_without_a_network(tiny, source):
    put(tiny)
    adata = data.load("tiny")
    check_tiny(adata)
    assert source.asked == []
    about = adata.uns["dataset"]
    assert about["sha256"] == [hashlib.sha256(content).hexdigest() for content in TABLES.values()]
    assert about["source"][0].endswith("/tiny%20one.csv")
    assert about["name"] == "tiny"
    assert about["licence"] == "MIT"
    assert about["citation"] == "Nobody (2000)"
    assert about["simulated"] is True


@pytest.mark.parametrize("damage", [TABLES["tiny one.csv"][:-9], TABLES["tiny one.csv"].replace(b"5", b"6")])
def test_a_truncated_or_tampered_file_is_refused_with_both_hashes(tiny, source, damage):
    put(tiny, tiny_one=damage)
    with pytest.raises(DataError) as error:
        data.load("tiny")
    said = str(error.value)
    for part in ("tiny one.csv", *(hashlib.sha256(x).hexdigest() for x in (damage, TABLES["tiny one.csv"]))):
        assert part in said
    assert f"({len(damage)} bytes)" in said
    assert source.asked == []


def blob(content):
    """Return the id that `git hash-object` gives to a file's content."""
    done = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.mark.parametrize(
    ("algorithm", "digits", "said"),
    [("md5", lambda x: hashlib.md5(x).hexdigest(), "MD5"), ("git", blob, r"its hash is not git:")],
)
@pytest.mark.parametrize("damage", [TABLES["tiny one.csv"][:-9], TABLES["tiny one.csv"].replace(b"5", b"6")])
def test_a_file_of_which_another_hash_is_known_is_verified_by_it(
    tiny, folders, source, monkeypatch, damage, algorithm, digits, said
):
    expected, found = (digits(content) for content in (TABLES["tiny one.csv"], damage))
    known_by(monkeypatch, **{algorithm: expected})
    put(tiny)
    adata = data.load("tiny")
    check_tiny(adata)
    # the hash of record stays the sha256, whatever the source publishes
    assert adata.uns["dataset"]["sha256"][0] == hashlib.sha256(TABLES["tiny one.csv"]).hexdigest()
    assert "note" not in adata.uns["dataset"]
    put(tiny, tiny_one=damage)
    with pytest.raises(DataError, match=rf"{algorithm} {expected} \(an unknown number of bytes\) of .*, got {found}"):
        data.load("tiny")
    (tiny / "tiny one.csv").unlink()
    whole, source.files["tiny one.csv"] = source.files["tiny one.csv"], damage
    with pytest.raises(DataError, match=rf"of an unknown number of bytes from .*, got another file \({said}"):
        data.load("tiny")
    assert list((folders / "cache" / "tiny").iterdir()) == []
    source.files["tiny one.csv"] = whole
    check_tiny(data.load("tiny"))


def test_a_file_without_a_published_hash_is_accepted_and_says_so(tiny, folders, source, monkeypatch, capsys):
    known_by(monkeypatch, note="none is published. Its content is checked instead.")
    put(tiny)
    (tiny / "tiny one.csv").unlink()
    adata = data.load("tiny")
    check_tiny(adata)
    about = adata.uns["dataset"]
    assert about["note"] == (
        "tiny one.csv is not verified by a hash: none is published. Its content is checked instead."
    )
    assert about["sha256"] == [hashlib.sha256(content).hexdigest() for content in TABLES.values()]
    assert source.asked == ["tiny one.csv"]
    assert data.prefetch() == [folders / "cache" / "tiny" / "tiny one.csv", tiny / "tiny_truth.csv"]
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["present  tiny/tiny one.csv (not verified by a hash)", "present  tiny/tiny_truth.csv"]
    assert source.asked == ["tiny one.csv"]
    # one's own copy is still the first choice
    put(tiny)
    data.load("tiny")
    assert data.prefetch("tiny")[0] == tiny / "tiny one.csv"


def test_a_broken_download_without_a_published_hash_leaves_nothing(tiny, folders, source, monkeypatch):
    known_by(monkeypatch)
    source.cut_to = 10
    with pytest.raises(DataError, match=r"tiny one\.csv from .*, got no download"):
        data.load("tiny")
    assert list((folders / "cache" / "tiny").iterdir()) == []


def test_a_matrix_of_another_size_than_registered_is_refused(tiny, monkeypatch):
    put(tiny)
    monkeypatch.setitem(registry.DATASETS, "tiny", replace(registry.DATASETS["tiny"], cells=3))
    with pytest.raises(DataError, match="tiny: expected 3 cells × 2 genes, got 2 × 2 in the files"):
        data.load("tiny")


def test_the_variables_of_the_folders_may_begin_with_the_home_folder(tiny, folders, source, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny.parent.parent))
    monkeypatch.setenv("SCGEN_DATA_DIR", f"~/{tiny.parent.name}")
    put(tiny)
    check_tiny(data.load("tiny"))
    assert source.asked == []


def test_an_absent_file_falls_through_to_a_download_that_happens_once(tiny, folders, source):
    put(tiny)
    (tiny / "tiny one.csv").unlink()
    check_tiny(data.load("tiny"))
    check_tiny(data.load("tiny"))
    assert source.asked == ["tiny one.csv"]
    assert (folders / "cache" / "tiny" / "tiny one.csv").read_bytes() == TABLES["tiny one.csv"]


def test_a_data_set_is_present_where_nothing_has_to_be_fetched(tiny, source):
    assert registry.present("splat_g2")
    assert not registry.present("tiny")
    put(tiny)
    (tiny / "tiny one.csv").unlink()
    assert not registry.present("tiny")
    data.load("tiny")
    source.asked.clear()
    assert registry.present("tiny")
    assert source.asked == []


def test_a_damaged_file_in_the_cache_is_fetched_again(tiny, folders, source):
    (folders / "cache" / "tiny").mkdir(parents=True)
    put(folders / "cache" / "tiny", tiny_truth=b"half")
    check_tiny(data.load("tiny"))
    assert source.asked == ["tiny_truth.csv"]


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o027, 0o640)])
def test_a_downloaded_file_can_be_read_by_whom_the_umask_allows(tiny, folders, source, umask, mode):
    before = os.umask(umask)
    try:
        data.load("tiny")
        path = folders / "cache" / "tiny" / "tiny one.csv"
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert os.umask(umask) == umask
    finally:
        os.umask(before)


def test_a_download_of_other_bytes_is_refused_and_leaves_nothing(tiny, folders, source):
    source.files["tiny one.csv"] = b"an error page"
    with pytest.raises(DataError, match=r"registered tiny one\.csv .* from http.*, got another file.*SCGEN_DATA_DIR"):
        data.load("tiny")
    assert list((folders / "cache" / "tiny").iterdir()) == []


def test_a_broken_download_is_refused_and_leaves_nothing(tiny, folders, source):
    source.cut_to = 10
    with pytest.raises(DataError, match=r"tiny one\.csv from .*, got no download .*SCGEN_DATA_DIR"):
        data.load("tiny")
    assert list((folders / "cache" / "tiny").iterdir()) == []


def test_a_source_out_of_reach_is_named_with_the_way_out(tiny, source):
    source.files.clear()
    with pytest.raises(DataError) as error:
        data.load("tiny")
    said = str(error.value)
    assert f"http://127.0.0.1:{source.server_port}/tiny%20one.csv" in said
    assert "put the file at tiny/tiny one.csv" in said


def test_a_cache_that_cannot_be_written_is_refused(tiny, folders):
    (folders / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"expected to write .* under .*cache, got .*SCGEN_CACHE_DIR"):
        data.load("tiny")


def test_a_full_disk_is_named_and_leaves_nothing(tiny, folders, monkeypatch):
    def fill(self, url, output, pooch):
        Path(output).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", fill)
    with pytest.raises(DataError, match=r"No space left on device': make room there"):
        data.load("tiny")
    assert list((folders / "cache" / "tiny").iterdir()) == []


def test_a_data_folder_that_does_not_exist_is_refused(tiny, monkeypatch, folders):
    monkeypatch.setenv("SCGEN_DATA_DIR", str(folders / "nowhere"))
    with pytest.raises(DataError, match="expected a folder in SCGEN_DATA_DIR"):
        data.load("tiny")


def test_a_source_whose_pair_disagrees_is_refused(tiny, monkeypatch):
    other = TABLES["tiny_truth.csv"].replace(b"Cell2", b"Cell9")
    put(tiny, tiny_truth=other)
    file = registry.FILES["tiny/tiny_truth.csv"]
    changed = replace(file, bytes=len(other), sha256=hashlib.sha256(other).hexdigest())
    monkeypatch.setitem(registry.FILES, file.key, changed)
    with pytest.raises(DataError, match="same cells and genes"):
        data.load("tiny")


def test_prefetch_fills_a_folder_that_serves_offline(tiny, folders, source, monkeypatch, capsys):
    mirror = folders / "mirror"
    paths = data.prefetch("tiny", dest=mirror)
    assert paths == [mirror / "tiny" / name for name in TABLES]
    assert re.findall(r"^(\w+)", capsys.readouterr().out, re.M) == ["fetched", "fetched"]
    assert data.prefetch(dest=mirror) == paths
    assert re.findall(r"^(\w+)", capsys.readouterr().out, re.M) == ["present", "present"]
    assert len(source.asked) == 2
    monkeypatch.setenv("SCGEN_DATA_DIR", str(mirror))
    check_tiny(data.load("tiny"))
    assert len(source.asked) == 2


def test_prefetch_leaves_alone_what_the_data_folder_has(tiny, folders, source, capsys):
    put(tiny)
    assert data.prefetch() == [tiny / name for name in TABLES]
    assert re.findall(r"^(\w+)", capsys.readouterr().out, re.M) == ["present", "present"]
    assert source.asked == []
    assert not (folders / "cache").exists()


def test_prefetch_tells_every_failure_and_then_fails(tiny, source, capsys):
    del source.files["tiny one.csv"]
    with pytest.raises(DataError, match=r"expected 2 files, got all but 1 \(tiny/tiny one.csv\)"):
        data.prefetch()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("failed   tiny/tiny one.csv: ")
    assert lines[1] == "fetched  tiny/tiny_truth.csv"
    with pytest.raises(ParameterError, match="got 'tyny': did you mean tiny"):
        data.prefetch(["tyny"])


def test_pbmc68k_reduced_needs_no_file_at_all(folders, monkeypatch):
    monkeypatch.delenv("SCGEN_DATA_DIR")
    adata = data.load("pbmc68k_reduced")
    entry = registry.DATASETS["pbmc68k_reduced"]
    assert adata.shape == (entry.cells, entry.genes)
    assert len(data.checks.check_labels(adata).categories) == entry.labels
    assert sparse.issparse(adata.layers["counts"])
    # the totals over 765 genes cannot exceed the totals over all genes, which the source states
    totals = np.asarray(adata.layers["counts"].sum(axis=1)).ravel()
    assert (totals <= adata.obs["n_counts"]).all()
    assert totals.min() > 0
    assert not (folders / "cache").exists()


def test_counts_that_cannot_be_recovered_are_refused(monkeypatch):
    import scanpy as sc

    broken = sc.datasets.pbmc68k_reduced()
    broken.obs["n_counts"] *= 1.3
    monkeypatch.setattr(sc.datasets, "pbmc68k_reduced", lambda: broken)
    with pytest.raises(DataError, match=r"got one 0\.\d+ from an integer"):
        data.load("pbmc68k_reduced")


def test_another_column_can_serve_as_labels():
    adata = data.load("pbmc68k_reduced", labels="louvain")
    assert list(adata.obs["cell_type"]) == list(adata.obs["louvain"])
    with pytest.raises(DataError, match=r"obs\['nope'\], got an obs with bulk_labels"):
        data.load("pbmc68k_reduced", labels="nope")


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    with pytest.raises(DataError, match="got 'pbmc68k_reducde': did you mean pbmc68k_reduced"):
        data.load("pbmc68k_reducde")


def test_presets_of_the_simulator_load_by_name():
    adata = data.load(next(iter(data.splatter.PRESETS)))
    assert "true_counts" in adata.layers
    assert adata.uns["dataset"]["simulated"]
    assert set(data.load("pbmc68k_reduced").uns["dataset"]) - set(adata.uns["dataset"]) <= {"note"}


def test_tables_of_labels_point_to_their_function():
    with pytest.raises(DataError, match=r"call scgen_lib.data.zeisel_annotation\(\)"):
        data.load("zeisel_annotation")


def test_a_source_of_several_media_types_is_asked_for_the_one_that_is_wanted(tiny, source, monkeypatch):
    known_by(monkeypatch, accept="application/vnd.github.raw+json")
    check_tiny(data.load("tiny"))
    assert dict(zip(source.asked, source.accepted, strict=True)) == {
        "tiny one.csv": "application/vnd.github.raw+json",
        "tiny_truth.csv": "*/*",
    }


def test_the_table_of_datasets_says_what_each_needs():
    table = data.datasets().set_index("name")
    assert table.index.is_unique
    expected = {"title", "cells", "genes", "labels", "values", "accession", "licence", "bytes", "citation"}
    assert set(table.columns) == expected
    assert not table.drop(columns="bytes").isna().any().any()
    unknown = {"zeisel_full", "zeisel_720", "10x_68k_720", "10x_73k_720", "macosko_720", "rosenberg_720"}
    assert set(table.index[table["bytes"].isna()]) == unknown
    assert set(table["values"]) == {"counts", "log", "labels", "names"}
    assert table.loc["splatter_g2", "bytes"] == 1_100_204 + 1_340_568
    assert (table["citation"].str.contains("doi:") | table["citation"].str.contains("10x")).all()


def test_every_registered_file_is_pinned_and_used():
    from scgen_lib.data import recipes

    used = {key for entry in registry.DATASETS.values() for key in entry.files}
    assert used == set(registry.FILES)
    for file in registry.FILES.values():
        pinned = r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/[^ ]+"
        archived = r"https://(ftp\.ncbi\.nlm\.nih\.gov/geo|cf\.10xgenomics\.com/samples)/[^ ]+"
        by_content = f"https://api\\.github\\.com/repos/[^/]+/[^/]+/git/blobs/{file.git or '-'}"
        assert re.fullmatch(f"{pinned}|{archived}|{by_content}", file.url)
        assert unquote(file.url).endswith("/" + file.name) or re.fullmatch(by_content, file.url)
        # a source that is no commit could change under its address
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}|git:[0-9a-f]{40}", file.hash or "") or (
            file.note and re.fullmatch(pinned, file.url)
        )
        assert not (file.sha256 and file.md5)
        assert file.bytes is None or file.bytes > 0
        assert file.licence
    for entry in registry.DATASETS.values():
        assert hasattr(recipes, entry.recipe) if entry.recipe else hasattr(data, entry.name)


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, scgen_lib.data; print(sorted({'tensorflow', 'scanpy', 'anndata', 'pandas'} & set(sys.modules)))"
    folder = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder, env=os.environ
    )
    assert run.stdout.strip() == "[]"


def test_an_excerpt_takes_cells_from_everywhere_and_genes_that_are_expressed():
    x = sparse.random(100, 400, density=0.2, random_state=0, format="csr", data_rvs=lambda n: np.ones(n, int))
    x = sparse.hstack([sparse.csr_matrix((100, 600), dtype=int), x], format="csr")
    x = sparse.vstack([sparse.csr_matrix((50, 1000), dtype=int), x], format="csr")
    part = data.excerpt(anndata.AnnData(x, layers={"true_counts": x}), 30, 40)
    assert part.shape[0] in range(20, 31)
    assert part.shape[1] == 40
    assert data.checks.totals(part.X).min() > 0
    assert data.checks.totals(part.X, 0).min() > 0
    assert list(part.obs_names.astype(int)) == sorted(part.obs_names.astype(int))
    assert int(part.obs_names[-1]) > 130
    assert list(part.var_names.astype(int)) == sorted(part.var_names.astype(int))
    assert part.layers["true_counts"].shape == part.shape
    assert data.excerpt(part, 10).n_vars == 40
