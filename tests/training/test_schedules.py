import pytest

from elman.errors import InputError
from elman.training.schedules import constant, cosine, one_cycle, plateau, schedule


def test_cosine_climbs_a_line_and_goes_down_half_a_cosine():
    factor = cosine(10, warmup=2)
    assert [factor(k, []) for k in (0, 1, 2, 6, 10, 12)] == pytest.approx([0.5, 1, 1, 0.5, 0, 0])
    assert factor(4, []) == pytest.approx(0.5 * (1 + 0.5**0.5))
    assert cosine(4)(0, []) == 1


def test_a_constant_rate_may_warm_up():
    assert [constant(4)(k, []) for k in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert constant()(0, []) == 1


def test_one_cycle_rises_to_its_top_once():
    factors = [one_cycle(100)(k, []) for k in range(101)]
    assert factors[0] == pytest.approx(0.04)
    assert factors[30] == max(factors) == 1
    assert factors[100] == pytest.approx(4e-6)
    assert factors[:31] == sorted(factors[:31])
    assert factors[30:] == sorted(factors[30:], reverse=True)


def test_plateau_falls_where_the_validation_stands_still():
    factor = plateau(patience=2, by=0.5)
    losses = [3.0, 2.0, 2.5, 2.0, 2.1, 2.2, 1.0, 1.1]
    assert [factor(0, losses[:n]) for n in range(9)] == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert plateau(patience=1, by=0.1, least=0.01)(0, [1.0] * 9) == 0.01


def test_a_schedule_is_found_by_its_name():
    assert schedule("cosine", steps=10, warmup=2)(6, []) == pytest.approx(0.5)
    assert schedule("one-cycle", steps=10, warmup=5)(5, []) == 1
    assert schedule("plateau", steps=10, patience=1)(0, [1.0, 1.0]) == pytest.approx(0.3)
    assert schedule("constant", steps=10)(99, []) == 1
    with pytest.raises(InputError, match="constant, cosine, one-cycle, plateau"):
        schedule("linear", steps=10)
