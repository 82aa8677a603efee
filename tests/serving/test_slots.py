"""Counts of all processes, where the disk is full, the folder vanishes or its owner was killed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from movierec_serving import slots
from tests.support.endpoint_process import PATIENCE, EndpointProcess, descendants, wait_for


@pytest.fixture
def fresh(store: Path) -> EndpointProcess:
    return EndpointProcess(store.parents[1])


def test_every_file_is_allocated_before_anybody_counts() -> None:
    """A map of what is not allocated kills its process where the disk is full."""
    with slots.allocated(3) as directory:
        assert directory is not None
        files = [*directory.glob("*.db")]
        assert len(files) == (3 + slots.SPARE) * len(slots.SIZES)
        for file in files:
            size = file.stat().st_size
            assert size in slots.SIZES.values()
            assert file.stat().st_blocks * 512 >= size
    assert not directory.exists()


def test_a_slot_is_one_processs_until_it_ends() -> None:
    code = "from movierec_serving import slots; from pathlib import Path; import sys\n"
    code += "print(slots.claim(Path(sys.argv[1])), flush=True); sys.stdin.read()"
    with slots.allocated(0) as directory:
        assert directory is not None
        command = [sys.executable, "-c", code, str(directory)]
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            for _ in range(slots.SPARE + 1)
        ]
        claimed = [process.stdout.readline().decode().strip() for process in processes]
        assert sorted(claimed) == ["0", "1", "None"]
        pids = {int(n): p.pid for n, p in zip(claimed, processes, strict=True) if n != "None"}
        assert slots.owners(directory) == pids
        for process in processes:
            process.communicate()
        assert slots.owners(directory) == {}
        assert slots.claim(directory) == 0


def test_without_place_it_answers_and_counts_nothing() -> None:
    """No file may be larger than a kilobyte here, as if every disk were full."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from movierec_serving import slots\n"
        "with slots.allocated(2) as directory:\n"
        "    assert directory is None\n"
        "    from movierec_serving import metrics\n"
        "    metrics.opened(3); metrics.count_request('GET', '/', 200, 0.1)\n"
        "    print(metrics.exposition(3, None).decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert "movierec_model_version 3.0" in done.stdout
    assert "no place for counts" in done.stderr


def directory_of(endpoint: EndpointProcess) -> Path:
    for pid in descendants(endpoint.process.pid):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = variable.decode().partition("=")
            if name == slots.DIRECTORY:
                return Path(value)
    raise AssertionError("no process has it")


def test_it_serves_on_when_the_folder_of_its_counts_vanishes(fresh: EndpointProcess) -> None:
    fresh.start().reload(3)
    try:
        assert len(fresh.client.get("/model").json()["processes"]) == 3
        shutil.rmtree(directory_of(fresh))
        for path in ("/metrics", "/model", "/recommend/u1", "/health"):
            assert fresh.client.get(path).status_code == 200
        assert "movierec_model_version 3.0" in fresh.client.get("/metrics").text
        family = descendants(fresh.process.pid)
        os.kill(fresh.client.get("/model").json()["pid"], signal.SIGKILL)
        wait_for(lambda: descendants(fresh.process.pid) - family, "it is replaced")
        for _ in range(10):  # by either process
            with fresh.another_client() as client:
                assert client.get("/recommend/u1").status_code == 200
                assert client.post("/recommend", json={"user_id": "u1"}).status_code == 200
                assert client.get("/metrics").status_code == 200
    finally:
        fresh.close()


def test_it_serves_on_when_the_temporary_folder_vanishes(store: Path, tmp_path: Path) -> None:
    """New processes find the manager all the same."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    endpoint = EndpointProcess(store.parents[1], TMPDIR=str(folder)).start()
    try:
        endpoint.reload(3)
        shutil.rmtree(folder)
        for process in endpoint.client.get("/model").json()["processes"]:
            os.kill(process["pid"], signal.SIGKILL)

        def asked() -> list[int]:
            with endpoint.another_client() as client:
                try:
                    return [
                        client.get("/recommend/u1").status_code,
                        client.post("/recommend", json={"user_id": "u1"}).status_code,
                    ]
                except httpx.TransportError:
                    return []

        wait_for(lambda: asked() == [200, 200], "others have taken their places")
    finally:
        endpoint.close()


def test_what_a_killed_endpoint_left_is_swept_by_the_next(fresh: EndpointProcess) -> None:
    fresh.start()
    left = directory_of(fresh)
    family = descendants(fresh.process.pid)
    fresh.process.kill()
    fresh.process.wait(PATIENCE)
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in family), "all end")
    try:
        fresh.start()  # the next one; an endpoint of another test may have been quicker
        assert not left.exists()
        own = directory_of(fresh)
        with slots.allocated(1):  # another endpoint that starts takes nothing of one that runs
            assert own.is_dir()
    finally:
        fresh.close()
    assert not own.exists()
