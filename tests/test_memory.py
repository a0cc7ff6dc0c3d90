import pytest

import nmfsep.memory as module
from nmfsep.errors import UsageError
from nmfsep.memory import available, parse_size, require, show_size

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

limited = pytest.mark.skipif(resource is None, reason="no limits of resources")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("123", 123),
        ("1K", 1024),
        ("1k", 1024),
        ("800M", 800 << 20),
        ("2G", 2 << 30),
        ("1.5G", 3 << 29),
        (".5K", 512),
        ("2GB", 2 << 30),
        ("2GiB", 2 << 30),
        ("2gib", 2 << 30),
        ("1T", 1 << 40),
        ("10B", 10),
    ],
)
def test_sizes_are_powers_of_1024(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "+1", "1.G", ".G", "1_000", "1 G", " 1G", "1G\n", "1P", "٣M", "１G", "1e9", "GB"]
)
def test_what_is_no_size_is_none(text):
    assert parse_size(text) is None


def test_the_kelvin_sign_is_no_k():
    assert parse_size("1\N{KELVIN SIGN}") is None


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 MB"), (640 << 20, "640 MB"), ((1 << 30) - 1, "1024 MB"), (3 << 29, "1.5 GB")]
)
def test_sizes_for_people(count, text):
    assert show_size(count) == text


@pytest.mark.parametrize(
    ("limit", "free", "fine"),
    [(100, 0, True), (99, 999, False), (None, 132, False), (None, 134, True), (None, None, True)],
)
def test_what_is_needed_is_held_against_the_limit_or_else_what_is_free(monkeypatch, limit, free, fine):
    monkeypatch.setattr(module, "available", lambda: free)
    if fine:
        require("'song' needs", 100, limit, "try")
    else:
        with pytest.raises(UsageError, match=r"^'song' needs about 1 MB of memory and may take 1 MB; try"):
            require("'song' needs", 100, limit, "try")


@pytest.mark.parametrize(("limit", "refused"), [(99, True), (100, False)])
def test_more_than_may_be_taken_is_refused(limit, refused):
    if not refused:
        require("'x' needs", 100, limit, "try less")
        return
    with pytest.raises(UsageError, match="'x' needs about 1 MB of memory and may take 1 MB; try less"):
        require("'x' needs", 100, limit, "try less")


def test_three_quarters_of_what_is_free_may_be_taken(system):
    require("'x' needs", 3072 << 10, None, "")
    with pytest.raises(UsageError):
        require("'x' needs", (3072 << 10) + 1, None, "")


@pytest.fixture
def system(monkeypatch):
    """Let the system's files say what a test wants."""
    texts = {"/proc/meminfo": "MemTotal:  99 kB\nMemAvailable:   4096 kB\n"}
    monkeypatch.setattr("nmfsep.system.text_of", lambda path: texts.get(path, ""))
    if resource is not None:
        monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return texts


def test_what_the_kernel_calls_available_is(system):
    assert available() == 4096 << 10


@pytest.mark.parametrize(
    ("limit", "used"),
    [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ],
)
@pytest.mark.parametrize(
    ("most", "taken", "left"),
    [
        ("1000000\n", "400000\n", 600_000),
        ("1000", "2000", 0),
        ("max\n", "5\n", 4096 << 10),
        ("9" * 18, "5", 4096 << 10),
    ],
)
def test_a_container_limits_what_is_available(system, limit, used, most, taken, left):
    system[limit], system[used] = most, taken
    assert available() == left


@limited
@pytest.mark.parametrize(("soft", "most"), [(1 << 20, 1 << 20), (1 << 40, 4096 << 10)])
def test_never_more_than_the_address_space_allowed(system, monkeypatch, soft, most):
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: asked.append(kind) or (soft, resource.RLIM_INFINITY))
    assert available() == most
    assert asked == [resource.RLIMIT_AS]


def test_a_system_that_says_nothing_gives_none(system, monkeypatch):
    system.clear()
    monkeypatch.setattr("nmfsep.system.WINDOWS", False)
    monkeypatch.delattr("os.sysconf", raising=False)
    assert available() is None


def test_a_system_that_tells_only_what_there_is_gives_that(system, monkeypatch):
    system.clear()
    monkeypatch.setattr("nmfsep.system.WINDOWS", False)
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False)
    assert available() == 4_096_000


@limited
def test_this_system_has_some_memory():
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    found = available()
    assert found is None or 0 < found <= (1 << 50 if limit == resource.RLIM_INFINITY else limit)
