import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.data.batching import buckets, streams, stretches
from elman.errors import InputError


@given(lengths=st.lists(st.integers(0, 40), max_size=60), tokens=st.integers(1, 200), seed=st.integers(0, 5))
def test_law_each_sequence_is_in_one_bucket_and_none_is_over_its_budget(lengths, tokens, seed):
    found = buckets(lengths, tokens, torch.Generator().manual_seed(seed))
    assert sorted(i for part in found for i in part.tolist()) == list(range(len(lengths)))
    for part in found:
        longest = max(lengths[i] for i in part.tolist())
        assert len(part) == 1 or len(part) * longest <= tokens


def test_buckets_hold_sequences_of_similar_length_in_an_order_that_changes():
    lengths = torch.randint(1, 500, (2000,), generator=torch.Generator().manual_seed(0))
    found = buckets(lengths, 8000, torch.Generator().manual_seed(1))
    padded = sum(len(part) * int(lengths[part].max()) for part in found)
    assert padded < 1.05 * int(lengths.sum())
    other = buckets(lengths, 8000, torch.Generator().manual_seed(2))
    assert [p.tolist() for p in found] != [p.tolist() for p in other]
    means = [float(lengths[part].float().mean()) for part in found]
    assert means != sorted(means)


def test_stretches_are_the_whole_sequence_cut():
    x, y = torch.randn(2, 7, 3), torch.arange(14).view(2, 7)
    found = list(stretches(3, x, y))
    assert [a.shape[1] for a, _ in found] == [3, 3, 1]
    assert torch.equal(torch.cat([a for a, _ in found], 1), x)
    assert torch.equal(torch.cat([b for _, b in found], 1), y)
    with pytest.raises(InputError, match="at least one step"):
        list(stretches(0, x))


@given(n=st.integers(2, 100), rows=st.integers(1, 9), steps=st.integers(1, 20))
def test_law_streams_go_on_where_they_ended_and_y_follows_x(n, rows, steps):
    series = torch.arange(n)
    if n - 1 < rows:
        with pytest.raises(InputError, match="too few"):
            list(streams(series, rows, steps))
        return
    found = list(streams(series, rows, steps))
    x, y = torch.cat([a for a, _ in found], 1), torch.cat([b for _, b in found], 1)
    assert torch.equal(y, x + 1)
    assert torch.equal(x.flatten(), series[: x.numel()])
    assert n - 1 - x.numel() < rows
