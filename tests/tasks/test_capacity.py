"""How much random patterns a memory holds."""

import pytest

from elman import InputError, capacity_curve
from elman.tasks.capacity import transition


def test_the_hebbian_rule_breaks_down_where_the_projection_does_not():
    curve = capacity_curve(200, [0.05, 0.1, 0.25, 0.5], trials=2)
    found = {key[0]: part["found"].to_list() for key, part in curve.group_by("storage", maintain_order=True)}
    assert list(found) == ["hebbian", "storkey", "pseudo-inverse"]
    assert found["hebbian"][:2] == [1.0, 1.0] and found["hebbian"][3] < 0.1
    assert found["storkey"][2] > found["hebbian"][2]
    assert found["pseudo-inverse"] == [1.0] * 4
    assert curve["cues"].to_list()[:2] == [20, 40]


@pytest.mark.slow
def test_a_larger_network_holds_more_below_0_138_and_less_above():
    small, large = (
        capacity_curve(N, [0.12, 0.16], storages=["hebbian"], trials=trials)["found"].to_list()
        for N, trials in ((300, 10), (2000, 2))
    )
    assert large[0] > small[0] > 0.9 and large[1] < small[1] - 0.1


def test_noise_costs_recall():
    curve = capacity_curve(100, [0.1], noises=[0.0, 0.2, 0.45], storages=["pseudo-inverse"], trials=2)
    assert curve["noise"].to_list() == [0.0, 0.2, 0.45]
    assert curve["found"].to_list()[:2] == [1.0, 1.0] and curve["found"].to_list()[2] < 0.9


def test_one_seed_measures_the_same_and_a_curve_without_a_fall_has_no_transition():
    a, b = (capacity_curve(50, [0.1, 0.2], trials=1, seed=3) for _ in range(2))
    assert a.equals(b)
    assert transition(capacity_curve(50, [0.02, 0.04], storages=["hebbian"], trials=1)) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"N": 1}, "two units and one trial, found N=1"),
        ({"N": 10, "loads": [0.01]}, "a load of 0.01 of 10 units is no pattern"),
        ({"N": 10, "storages": ["hebb"]}, "one of hebbian"),
        ({"N": 10, "update": "at once"}, "one of asynchronous"),
        ({"N": 10, "max_steps": 0}, "max_steps is 0"),
        ({"N": 10, "noises": [2.0], "loads": [0.5]}, "from 0 to 1"),
    ],
)
def test_what_can_not_be_measured(arguments, said):
    with pytest.raises(InputError, match=said):
        capacity_curve(**arguments)
