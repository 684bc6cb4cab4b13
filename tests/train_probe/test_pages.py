"""Pages cut into pieces before they are shuffled: nothing lost, a part of every page in a part of a pass, the same
pieces in the same order in every corpus that holds them, and coins that differ from seed to seed."""

from collections import Counter

import numpy as np
import pytest
import torch

from train_probe.inputs import Pages
from train_probe.pages import Coin, PagePieces, PagesOnDevice, page_marks
from train_probe.plan import PlanError

CPU = torch.device("cpu")


def pages_of(bodies, prefix=0):
    """Pages of these bodies, each behind `prefix` tokens 1 .. prefix, and before a 0."""
    whole = [[*range(1, prefix + 1), *body, 0] for body in bodies]
    ends = np.cumsum([len(page) for page in whole])
    return Pages(np.concatenate(whole).astype(np.uint16), ends, np.full(len(whole), prefix, np.int64))


def some(count=40, seed=0, longest=400):
    """Bodies over tokens 10 .. 60 000, so that nearly every one tells its page."""
    random = np.random.default_rng(seed)
    return [random.integers(10, 60_000, random.integers(1, longest)).tolist() for _ in range(count)]


def pieces(bodies, width=32, seed=0, prefix=0, **more):
    return PagePieces(PagesOnDevice.of(pages_of(bodies, prefix), CPU), width, seed, "raw", **more)


def texts(of, first, last):
    numbers = torch.arange(first, last)
    return [part.tolist() for part in of.tokens(numbers).split(of.lengths(numbers).tolist())]


def test_every_pass_holds_every_token_once_in_another_order():
    bodies = some()
    one = pieces(bodies)
    whole = Counter(tokens := [token for body in bodies for token in (*body, 0)])
    count = len(one._page)
    passes = [texts(one, number * count, (number + 1) * count) for number in range(3)]
    for held in passes:
        assert Counter(token for text in held for token in text) == whole
        assert max(map(len, held)) <= 32
    assert passes[0] != passes[1] != passes[2]
    assert one.pass_tokens == len(tokens)
    # Windows are the same stream, cut; over the border of two passes too.
    stream = [token for held in passes for text in held for token in text]
    windows = one.windows(0, len(stream) // 32)
    assert windows.flatten().tolist() == stream[: len(windows) * 32]
    assert torch.equal(one.windows(7, len(windows) - 3), windows[7:-3])
    assert one.windows(5, 5).shape == (0, 32)


def test_a_part_of_a_pass_holds_a_part_of_every_page():
    bodies = [[page * 500 + 10 + place for place in range(480)] for page in range(30)]
    seen = pieces(bodies).windows(0, 90).flatten()  # a fifth of all tokens
    shares = np.bincount((seen[seen >= 10] - 10) // 500, minlength=30) / 480
    assert shares.min() > 0.1 and shares.max() < 0.3
    assert abs(shares.mean() - 0.2) < 0.01


def test_every_piece_of_a_page_comes_behind_its_domain():
    bodies = some()
    one = pieces(bodies, prefix=3)
    count = len(one._page)
    held = texts(one, 0, count)
    assert all(text[:3] == [1, 2, 3] and len(text) <= 32 for text in held)
    assert Counter(token for text in held for token in text[3:]) == Counter(
        token for body in bodies for token in (*body, 0)
    )
    numbers = torch.arange(count)
    bare = numbers % 2 == 0
    some_bare = one.tokens(numbers, bare).split(one.lengths(numbers, bare).tolist())
    for number, (text, found) in enumerate(zip(held, some_bare, strict=True)):
        assert found.tolist() == (text[3:] if number % 2 == 0 else text)
    silent = pieces(bodies, prefix=3, silent=True)
    assert texts(silent, 0, count) == [[~token for token in text[:3]] + text[3:] for text in held]


def test_pieces_that_two_corpora_share_come_in_the_same_order_whatever_else_is_in_them():
    bodies = some(60)
    whole, half, turned = pieces(bodies, width=16), pieces(bodies[::2], width=16), pieces(bodies[::-1], width=16)
    every = texts(whole, 0, len(whole._page))
    shared = set(map(tuple, texts(half, 0, len(half._page))))
    assert texts(half, 0, len(half._page)) == [text for text in every if tuple(text) in shared]
    assert texts(turned, 0, len(turned._page)) == every
    assert texts(pieces(bodies, width=16, seed=1), 0, len(whole._page)) != every
    # A domain in front of each changes nothing where pages are cut at the same places.
    tagged = pieces(bodies, width=17, prefix=1)
    assert [text[1:] for text in texts(tagged, 0, len(tagged._page))] == every


def test_equal_pages_do_not_come_side_by_side():
    marks = page_marks(pages_of([[7, 8, 9]] * 50 + some(5)))
    assert len(set(marks.tolist())) == 55
    assert page_marks(pages_of([[7, 8, 9]]))[0] == marks[0]
    assert page_marks(pages_of([[7, 8, 9]], prefix=4))[0] == marks[0]
    assert page_marks(pages_of([[9, 8, 7]]))[0] != marks[0]
    one = pieces([[7] * 20] * 50 + [[number] * 20 for number in range(100, 150)])
    places = [number for number, text in enumerate(texts(one, 0, 100)) if text[0] == 7]
    assert len(places) == 50 and places[-1] - places[0] > 70


@pytest.mark.parametrize("kept", [0.2, 0.57, 0.9])
def test_a_coin_keeps_its_share_of_whole_pages_another_draw_for_each_seed(kept):
    random = np.random.default_rng(0)
    bodies = [[10 + number] * length for number, length in enumerate(random.integers(1, 60, 400))]
    bodies[7] *= 40  # a page of a tenth of all tokens
    total = pieces(bodies).pass_tokens
    drawn = []
    for seed in range(6):
        one = pieces(bodies, seed=seed, coin=Coin(seed, kept=kept))
        seen = Counter(token for text in texts(one, 0, len(one._page)) for token in text if token)
        assert all(count == len(bodies[token - 10]) for token, count in seen.items())
        assert one.pass_tokens == seen.total() + len(seen) == pytest.approx(kept * total, rel=0.01)
        drawn.append(set(seen))
    other = pieces(bodies, coin=Coin(0, number=1, kept=kept))
    drawn.append({token for text in texts(other, 0, len(other._page)) for token in text if token})
    overlap = np.mean([len(a & b) / len(a) for a in drawn for b in drawn if a is not b])
    assert overlap == pytest.approx(kept, abs=0.1)


def test_a_coin_by_length_keeps_a_share_of_the_tokens_of_each_group():
    lengths = torch.from_numpy(np.random.default_rng(0).permutation(np.arange(1, 1001)))
    marks = torch.randint(-(2**62), 2**62, (1000,), generator=torch.Generator().manual_seed(0))
    shares = (0.9, 0.1, 0.0, 0.5, 1.0)
    chosen = lengths[Coin(3, by_length=shares).chosen(lengths, marks)]
    for number, share in enumerate(shares):
        held = chosen[(chosen > number * 200) & (chosen <= number * 200 + 200)]
        assert int(held.sum()) == pytest.approx(share * sum(range(number * 200 + 1, number * 200 + 201)), rel=0.01)


def test_pages_that_fill_no_window_are_refused():
    with pytest.raises(PlanError, match="hold 4 tokens of pages, less than a window of 32"):
        pieces([[7, 8, 9]])
    with pytest.raises(
        PlanError, match=r"hold 84 tokens of pages, of which a coin keeps \d+, less than a window of 32"
    ):
        pieces([[7] * 20] * 4, coin=Coin(0, kept=0.1))
