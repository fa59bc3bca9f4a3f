"""A chain CRF says what a sum over all sequences of labels says; padding never matters."""

import itertools

import pytest
import torch

from elman.models.crf import ChainCRF
from elman.models.encoders import encoder
from elman.models.tagger import Tagger

K = 3


@pytest.fixture
def crf():
    torch.manual_seed(0)
    crf = ChainCRF(K).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def by_hand(crf, scores, labels):
    total = crf.begin[labels[0]] + crf.end[labels[-1]]
    for t, label in enumerate(labels):
        total = total + scores[t, label]
        if t:
            total = total + crf.follow[labels[t - 1], label]
    return total


def all_of(crf, scores):
    """Every sequence of labels, and its score."""
    return {labels: by_hand(crf, scores, labels) for labels in itertools.product(range(K), repeat=len(scores))}


@pytest.mark.parametrize("lengths", [[4, 4], [1, 4], [3, 2]])
def test_as_all_paths_say(crf, lengths):
    scores, labels = torch.randn(2, 4, K).double(), torch.randint(K, (2, 4))
    sizes = torch.tensor(lengths)
    likely, best = crf.log_likelihood(scores, labels, sizes), crf.best(scores, sizes)
    shares = crf.marginals(scores, sizes)
    for k, n in enumerate(lengths):
        paths = all_of(crf, scores[k, :n])
        whole = torch.stack(list(paths.values())).logsumexp(0)
        assert likely[k].item() == pytest.approx((paths[tuple(labels[k, :n].tolist())] - whole).item())
        assert tuple(best[k, :n].tolist()) == max(paths, key=paths.get)
        assert (best[k, n:] == -1).all() and not shares[k, n:].any()
        for t, label in itertools.product(range(n), range(K)):
            share = sum((value - whole).exp() for path, value in paths.items() if path[t] == label)
            assert shares[k, t, label].item() == pytest.approx(share.item())


def test_gradients(crf):
    scores = torch.randn(2, 4, K, dtype=torch.float64, requires_grad=True)
    labels, lengths = torch.randint(K, (2, 4)), torch.tensor([4, 2])
    assert torch.autograd.gradcheck(lambda s, *_: crf.log_likelihood(s, labels, lengths), (scores, *crf.parameters()))


def test_padding_never_matters(crf):
    scores, labels = torch.randn(1, 3, K).double(), torch.randint(K, (1, 3))
    longer = torch.cat([scores, torch.full((1, 2, K), torch.nan).double()], 1)
    filled = torch.cat([labels, torch.full((1, 2), -1)], 1)
    lengths = torch.tensor([3])
    alone = crf.log_likelihood(scores, labels, lengths)
    assert torch.equal(crf.log_likelihood(longer.nan_to_num(5.0), filled, lengths), alone)
    assert torch.equal(crf.best(longer.nan_to_num(5.0), lengths)[:, :3], crf.best(scores, lengths))


def test_a_chain_can_say_what_steps_alone_cannot():
    """All steps look alike; only what follows what tells them apart."""
    torch.manual_seed(0)
    net = Tagger(None, encoder("rnn", 1, 4), 2, chain=True)
    assert net.crf is not None
    with torch.no_grad():
        net.crf.follow.copy_(torch.tensor([[-9.0, 9.0], [9.0, -9.0]]))
        net.head.weight.zero_()
    lengths = torch.tensor([5])
    best = net.best(net(torch.zeros(1, 5, 1), lengths), lengths)[0].tolist()
    assert best in ([0, 1, 0, 1, 0], [1, 0, 1, 0, 1])
