import pytest

import nmfsep.memory as module
from nmfsep.errors import UsageError
from nmfsep.jobs.budget import estimate, estimate_guided, estimate_rendering, matrix_estimate, saved_size as model_size
from nmfsep.memory import (
    available,
    parse_size,
    require,
    show_size,
)
from nmfsep.registry import MODELS
from nmfsep.settings.separation import Settings

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LENGTH = 44100 * 600
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
    "text", ["", "M", "-1", "+1", "1.5G", "1_000", "1 G", " 1G", "1G\n", "1P", "٣M", "１G", "1e9", "GB"]
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


def of(channels=2, length=LENGTH, threads=2, **settings):
    return estimate(Settings(**({"components": 20, "n_fft": 2048} | settings)), channels, length, threads)


@pytest.mark.parametrize(
    "larger",
    [
        {"channels": 3},
        {"length": 2 * LENGTH},
        {"components": 40},
        {"hop_length": 256},
        {"divergence": "is"},
        {"divergence": 0.0},
        {"divergence": -1},
    ],
)
def test_whatever_is_larger_takes_more(larger):
    assert of(**larger) > of()


def test_threads_take_memory_where_rendering_is_the_peak():
    assert of(length=44100, threads=8) > of(length=44100, threads=2)


@pytest.mark.parametrize("mode", ["independent", "mid"])
def test_channels_apart_take_less_than_joint_ones(mode):
    apart = estimate(Settings(components=20, channels=mode), 8, LENGTH, 2)
    assert apart < of(channels=8)


@pytest.mark.parametrize(("length", "channels"), [(44100 * 60, 2), (LENGTH, 1), (44100 * 3600, 2)])
def test_the_spectrogram_and_the_sound_are_counted_in_full(length, channels):
    sound = 4 * channels * length
    spectrogram = 4 * (length // 512) * 1025 * channels
    assert of(channels=channels, length=length) > sound + spectrogram
    assert of(channels=channels, length=length) < 3 * (sound + spectrogram) + (1 << 30)


def test_fewer_stems_take_less_to_render_and_never_more():
    settings = Settings(components=400)
    many, few = (estimate(settings, 2, 44100, 8, None, stems) for stems in (400, 4))
    assert few < many == estimate(settings, 2, 44100, 8)


def test_rendering_takes_the_sound_the_model_and_the_blocks():
    view = [(2048, 512, 20)]
    one = estimate_rendering(1, LENGTH, 2, view, 4, 10**6)
    assert one - 4 * LENGTH - 10**6 > 0
    assert estimate_rendering(1, LENGTH, 2, view, 4, 10**9) - one == 10**9 - 10**6
    assert estimate_rendering(2, LENGTH, 2, view, 4, 10**6) > one
    assert estimate_rendering(1, LENGTH, 2, view * 2, 4, 10**6) > one
    assert one < estimate(Settings(components=20), 1, LENGTH, 2)


@pytest.mark.parametrize(
    ("channels", "mode", "matrices"), [(1, "joint", (1, 1)), (2, "joint", (2, 1)), (2, "independent", (2, 2))]
)
def test_a_model_is_as_large_as_its_factors(channels, mode, matrices):
    size = model_size(Settings(components=20, channels=mode), channels, LENGTH)
    assert size == pytest.approx(4 * 20 * (1025 * matrices[0] + LENGTH / 512 * matrices[1]), rel=1e-3)
    assert model_size(Settings(free=5), 2, LENGTH, [(2048, 512, 15)]) == pytest.approx(
        4 * 20 * 2 * (1025 + LENGTH / 512), rel=1e-3
    )


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


VIEWS = ((512, 128, 60), (2048, 512, 20))


def guided(channels=2, length=8000 * 600, threads=2, views=VIEWS, **settings):
    return estimate_guided(Settings(**({"components": 2} | settings)), channels, length, threads, views)


@pytest.mark.parametrize(
    "larger",
    [
        {"channels": 3},
        {"length": 8000 * 1200},
        {"views": ((512, 128, 120), (2048, 512, 20))},
        {"views": ((512, 64, 60), (2048, 512, 20))},
        {"views": (VIEWS[0], *VIEWS)},
        {"free": 10},
    ],
)
def test_whatever_is_larger_takes_more_with_a_dictionary_too(larger):
    assert guided(**larger) > guided()


@pytest.mark.parametrize("mode", ["independent", "mid"])
def test_channels_apart_take_less_with_a_dictionary_too(mode):
    settings = Settings(components=2, channels=mode)
    assert estimate_guided(settings, 8, 8000 * 600, 2, VIEWS) < guided(channels=8)


def test_a_dictionarys_spectrogram_and_the_sound_are_counted_in_full():
    sound, spectrogram = 4 * 2 * 8000 * 600, 4 * 2 * (8000 * 600 // 128) * 257
    assert sound + spectrogram < guided() < 3 * (sound + spectrogram) + (1 << 28)


@pytest.mark.parametrize("model", MODELS)
def test_a_matrix_is_counted_with_the_copies_that_its_model_makes(model):
    entries = 3000 * 2000
    need = matrix_estimate(model, 3000, 2000, 8, 5)
    assert 16 * entries < need - matrix_estimate(model, 1, 1, 8, 5) < 16 * 8 * entries
    assert matrix_estimate(model, 3000, 2000, 8, 50) > need
    assert matrix_estimate(model, 3000, 2000, 4, 5) < need
    assert matrix_estimate(model, 3000, 2000, 8, 5, compiled=True, pictures=True, pca=True) > need + (100 << 20)


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
