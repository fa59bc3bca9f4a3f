"""Networks with one answer for a sequence or an image: padding, order, and what each may see."""

import pytest
import torch

from elman.errors import InputError
from elman.models.convolution import ConvolutionEncoder, ImageEncoder
from elman.models.encoders import ENCODERS, encoder
from elman.models.feedforward import FeedForward
from elman.models.many_to_one import ImageModel, SequenceModel
from elman.models.pooling import Pool
from elman.models.transformer import TransformerEncoder

RECURRENT = ENCODERS[:-2]
EVERY = [(name, False) for name in ENCODERS] + [(name, True) for name in RECURRENT]
POOLINGS = ["last", "mean", "max", "summary", "attention", "hopfield"]
LENGTHS = torch.tensor([12, 5, 1, 7])


def model(architecture, bidirectional=False, pooling="mean", **own):
    torch.manual_seed(0)
    reader = encoder(architecture, 3, 8, num_layers=2, bidirectional=bidirectional, dropout=0.1, **own)
    return SequenceModel(reader, 5, pooling=pooling, bidirectional=bidirectional, dropout=0.1).double().eval()


def batch(B=4, T=12):
    return torch.randn(B, T, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("architecture", "bidirectional"), EVERY)
def test_law_padding_never_changes_a_result_nor_a_gradient(architecture, bidirectional, pooling):
    net, x = model(architecture, bidirectional, pooling), batch()
    padded = x.clone()
    for b, n in enumerate(LENGTHS):
        padded[b, n:] = torch.nan
    alone = torch.cat([net(x[b : b + 1, :n]) for b, n in enumerate(LENGTHS)])
    torch.testing.assert_close(net(padded, LENGTHS), alone, rtol=1e-10, atol=1e-10)
    gradients = torch.autograd.grad(alone.square().sum(), list(net.parameters()), allow_unused=True)
    others = torch.autograd.grad(net(padded, LENGTHS).square().sum(), list(net.parameters()), allow_unused=True)
    for one, other in zip(gradients, others, strict=True):
        if one is not None:
            torch.testing.assert_close(other, one, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("architecture", "bidirectional"), EVERY)
def test_law_cases_of_a_batch_never_mix(architecture, bidirectional):
    net, x = model(architecture, bidirectional), batch()
    alone = torch.cat([net(x[b : b + 1]) for b in range(4)])
    torch.testing.assert_close(net(x), alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("architecture", "bidirectional"), EVERY)
def test_every_weight_learns(architecture, bidirectional, pooling):
    net = model(architecture, bidirectional, pooling).train()
    net(batch(), LENGTHS).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("architecture", [*RECURRENT, "cnn"])
@pytest.mark.parametrize("step", [0, 4, 11])
def test_law_what_reads_forward_never_sees_a_later_step(architecture, step):
    own = {"causal": True} if architecture == "cnn" else {}
    net, x = model(architecture, **own).encoder, batch()
    changed = x.clone()
    changed[:, step] += 1
    difference = (net(changed) - net(x)).abs().amax(dim=(0, 2))
    assert (difference[:step] == 0).all()
    assert difference[step] > 0


@pytest.mark.parametrize("own", [{}, {"causal": True}])
@pytest.mark.parametrize("kernel_size", [1, 2, 5, 40])
def test_a_convolution_keeps_the_number_of_steps(own, kernel_size):
    assert ConvolutionEncoder(3, 8, num_layers=3, kernel_size=kernel_size, **own)(torch.randn(2, 9, 3)).shape == (
        2, 9, 8,
    )  # fmt: skip


def test_a_convolution_reads_both_sides_alike_unless_it_is_causal():
    net, x = ConvolutionEncoder(1, 4, kernel_size=3).double(), torch.zeros(1, 9, 1, dtype=torch.float64)
    changed = x.clone()
    changed[:, 4] = 1
    assert ((net(changed) - net(x)).abs().amax(dim=(0, 2)) > 0).nonzero().flatten().tolist() == [3, 4, 5]


def test_a_bidirectional_network_pools_what_each_direction_made_of_the_whole():
    net, x = model("gru", bidirectional=True, pooling="last"), batch()
    y, state = net.encoder.stack(x)
    pooled = net.pool(y)
    torch.testing.assert_close(pooled, torch.cat([state[2], state[3]], dim=1))  # the second layer's two directions


@pytest.mark.parametrize("kind", [kind for kind in POOLINGS if kind != "hopfield"])  # which projects what it reads
def test_pooling_one_step_gives_that_step(kind):
    h = torch.randn(3, 1, 6)
    expected = h[:, 0].repeat(1, 3 if kind == "summary" else 1)
    torch.testing.assert_close(Pool(kind, 6)(h), expected)
    padded = torch.cat([h, torch.full((3, 2, 6), 9.0)], dim=1)
    torch.testing.assert_close(Pool(kind, 6)(padded, torch.tensor([1, 1, 1])), expected)


def test_a_transformer_knows_the_order_of_steps():
    for positions in ("sinusoidal", "learned"):
        net = model("transformer", positions=positions, max_steps=12, heads=2)
        assert (net(batch().flip(1)) - net(batch())).abs().max() > 1e-3


def test_places_that_were_learned_end():
    net = TransformerEncoder(3, 8, heads=2, positions="learned", max_steps=4)
    with pytest.raises(InputError, match="5 steps, and places were learned for 4"):
        net(torch.randn(1, 5, 3))


def test_heads_divide_the_units():
    with pytest.raises(InputError, match="hidden_size=10 must be a multiple of heads=4"):
        TransformerEncoder(3, 10, heads=4)


def test_what_reads_in_no_direction_is_not_bidirectional():
    with pytest.raises(InputError, match="recurrent architectures; cnn"):
        encoder("cnn", 3, 8, bidirectional=True)
    with pytest.raises(InputError, match="'mlp' reads no sequences"):
        encoder("mlp", 3, 8)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 9), (1, 1, 1), (2, 1, 30)])
def test_images_of_every_size(shape):
    net = ImageModel(ImageEncoder(shape[0], 8, num_layers=3), 4)
    assert net(torch.randn(2, *shape)).shape == (2, 4)
    images = torch.randn(3, *shape)
    alone = torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(net(images), alone, rtol=1e-4, atol=1e-5)


def test_what_was_never_seen_of_a_category_says_nothing():
    torch.manual_seed(0)
    net = FeedForward(0, [4], 2, hidden_size=5)
    nothing = net(torch.zeros(1, 0), torch.tensor([[0]]))
    torch.testing.assert_close(nothing, net.head(torch.cat([net.layers(torch.zeros(1, 2)), torch.zeros(1, 2)], dim=1)))
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    net(torch.zeros(2, 0), torch.tensor([[0], [3]])).sum().backward()
    optimizer.step()
    assert (net.vectors[0].weight[0] == 0).all() and (net.vectors[0].weight[3] != 0).any()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_as_it_reads_it_says_what_it_says_of_the_steps_so_far(pooling, bidirectional):
    net, x = model("gru", bidirectional, pooling), batch(2, 7)
    said = net.as_it_reads(x)
    for t in range(1, 8):
        torch.testing.assert_close(said[:, t - 1], net(x[:, :t]), rtol=1e-10, atol=1e-10)
