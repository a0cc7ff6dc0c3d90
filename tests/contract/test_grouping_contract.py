"""What every grouping in the registry must hold to; a new entry is tested by itself."""

import numpy as np
import pytest

from nmfsep.grouping.scene import Scene
from nmfsep.registry import GROUPINGS

groupings = pytest.mark.parametrize("name", GROUPINGS)
FRAMES, BINS = 160, 65
FREQUENCIES = np.arange(BINS) * 60.0


def scene(channels=1, seed=0, Y=None):
    if Y is None:
        rng = np.random.default_rng(1)
        Y = rng.gamma(0.5, 1, (FRAMES, 6)) @ rng.gamma(0.3, 1, (6, channels * BINS))
    Y = Y.astype(np.float32)
    Y.flags.writeable = False
    return Scene(Y, np.arange(0, FRAMES, 2), FREQUENCIES, lambda spectra: spectra, 0.02, seed, 1)


@groupings
@pytest.mark.parametrize(("stems", "atoms", "channels"), [(2, 3, 1), (3, 2, 2), (4, 1, 1)])
def test_every_stem_has_atoms_and_they_model_every_frame(name, stems, atoms, channels):
    given = scene(channels)
    found = GROUPINGS.load(name)(given, stems, atoms)
    count = len(found.owners)
    assert found.W.shape == (channels * BINS, count)
    assert found.Z.shape == (count, FRAMES)
    assert min(found.W.min(), found.Z.min()) >= 0
    assert set(found.owners.tolist()) == set(range(stems))
    # the model is about as loud as the mixture, in the frames that were learned from and the others
    for frames in (slice(0, None, 2), slice(1, None, 2)):
        assert 0.8 < (found.W @ found.Z[:, frames]).sum() / given.Y[frames].sum() < 1.2


@groupings
def test_the_same_seed_gives_the_same_bits_and_another_others(name):
    one, again, other = (GROUPINGS.load(name)(scene(seed=seed), 2, 3) for seed in (0, 0, 1))
    assert one.W.tobytes() == again.W.tobytes()
    assert one.Z.tobytes() == again.Z.tobytes()
    assert one.owners.tolist() == again.owners.tolist()
    assert one.W.tobytes() != other.W.tobytes()


@groupings
def test_silence_is_no_error(name):
    found = GROUPINGS.load(name)(scene(Y=np.zeros((FRAMES, BINS))), 2, 2)
    assert np.isfinite(found.W).all()
    assert np.isfinite(found.Z).all()
