"""scikit-learn's own tests of NMF, as they are installed, with the two estimators in the place of its classes."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.estimator, pytest.mark.long]

# Its classes are replaced before the module of the tests is imported, whose parameters hold them from then on.
RUN = """
import json, os, sys
import pytest, sklearn.decomposition
import nmfsep

sklearn.decomposition.NMF, sklearn.decomposition.MiniBatchNMF = nmfsep.NMF, nmfsep.MiniBatchNMF
outcomes = {}


class Outcomes:
    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.failed:
            outcomes[report.nodeid.split("::")[1]] = report.passed


options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "-W", "ignore"]
pytest.main(["--pyargs", "sklearn.decomposition.tests.test_nmf", *options], plugins=[Outcomes()])
with open(sys.argv[1], "w") as file:
    json.dump(outcomes, file)
"""
# Tests that are not to pass, and why.
OTHERWISE = {
    # Compares the class with a function of scikit-learn, number by number. That one starts from its own SVD and noise,
    # leaves the scale between W and H to chance, and orders the steps of coordinate descent otherwise. Objectives and,
    # from the same start, iterations are compared in test_estimator.
    "test_non_negative_factorization_consistency",
    # A batch of six samples, from noise: how near to X the fit has come when it stops is chance. With seeds 0 to 7,
    # scikit-learn's own misses the mark in seven cases, ours in six.
    "test_mbnmf_inverse_transform",
    # Gives two estimators one H and finds that it is the same afterwards, since both write to it; their batches differ.
    # Ours write to no array that is given. What is meant is asserted in test_minibatch.
    "test_minibatch_nmf_partial_fit",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scikit_learn")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-c", RUN, "outcomes.json"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=600)
    return json.loads((folder / "outcomes.json").read_text())


def test_all_of_scikit_learns_tests_pass_but_for_a_short_list(outcomes):
    failed = sorted(name for name, passed in outcomes.items() if not passed)
    print(f"scikit-learn's tests of NMF: {len(outcomes) - len(failed)} of {len(outcomes)} pass")
    assert len(outcomes) > 200
    assert {name.split("[")[0] for name in failed} <= OTHERWISE, failed


def test_the_list_holds_nothing_that_passes(outcomes):
    assert {name.split("[")[0] for name, passed in outcomes.items() if not passed} >= OTHERWISE
